#!/usr/bin/env node
/** Fails when the first load, or a part that is loaded on demand, has grown over its budget (kB of gzip). */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const FIRST_LOAD_KB = 250;
const LAZY_KB = 200;

const dist = join(fileURLToPath(new URL("..", import.meta.url)), "dist");
const sizeOf = (file) => gzipSync(readFileSync(join(dist, "assets", file))).length / 1_000;
const page = readFileSync(join(dist, "index.html"), "utf8");
const scripts = readdirSync(join(dist, "assets")).filter((file) => file.endsWith(".js"));
const first = scripts.filter((file) => page.includes(file));
const firstLoad = first.reduce((total, file) => total + sizeOf(file), 0);
const largest = scripts
  .filter((file) => !first.includes(file))
  .map((file) => ({ file, size: sizeOf(file) }))
  .toSorted((a, b) => b.size - a.size)[0];

console.log(`first load: ${firstLoad.toFixed(1)} kB of ${FIRST_LOAD_KB}`);
console.log(`largest on demand: ${largest.size.toFixed(1)} kB of ${LAZY_KB} (${largest.file})`);
if (firstLoad > FIRST_LOAD_KB || largest.size > LAZY_KB) process.exitCode = 1;
