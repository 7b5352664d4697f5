-- The three roles. Run once per server by a superuser; safe to run again.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'clp_owner') THEN
        CREATE ROLE clp_owner LOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'clp_app') THEN
        CREATE ROLE clp_app LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'clp_definer') THEN
        CREATE ROLE clp_definer NOLOGIN BYPASSRLS;
    END IF;
END
$$;
GRANT clp_definer TO clp_owner;
