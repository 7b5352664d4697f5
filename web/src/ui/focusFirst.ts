interface Form {
  getInputNode: (path: string) => HTMLElement | null;
}

/** Puts the focus on the first field that is wrong: it may be out of sight. */
export function focusFirst(form: Form): (errors: object) => void {
  return (errors) => {
    const [first] = Object.keys(errors);
    if (first !== undefined) form.getInputNode(first)?.focus();
  };
}
