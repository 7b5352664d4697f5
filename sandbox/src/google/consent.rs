//! The consent page: which account, which scopes in words, Allow or Cancel.

use super::caller::{BID_MANAGER, DISPLAY_VIDEO};
use crate::world::User;

const STYLE: &str = "\
:root{color-scheme:light dark;--page:#f3f4f6;--card:#fff;--ink:#1b1f24;--soft:#4b5563;--line:#6b7280;--act:#1a56c4;--on-act:#fff}\
@media(prefers-color-scheme:dark){:root{--page:#16181c;--card:#22262c;--ink:#f1f3f5;--soft:#c3c9d1;--line:#9aa3af;--act:#a9c7ff;--on-act:#0b1e42}}\
*{box-sizing:border-box}body{margin:0;font:16px/1.5 system-ui,sans-serif;background:var(--page);color:var(--ink)}\
main{max-width:32rem;margin:8vh auto;padding:2rem;background:var(--card);border:1px solid var(--line);border-radius:.75rem}\
h1{font-size:1.4rem;margin:0 0 .5rem}p{color:var(--soft)}fieldset{border:1px solid var(--line);border-radius:.5rem;margin:1rem 0;padding:.75rem 1rem}\
label{display:flex;gap:.75rem;align-items:center;min-height:2.75rem}label small{color:var(--soft)}\
.row{display:flex;gap:.75rem;justify-content:flex-end;flex-wrap:wrap}\
button{font:inherit;min-height:2.75rem;padding:.5rem 1.25rem;border-radius:.5rem;border:1px solid var(--act);cursor:pointer}\
button.yes{background:var(--act);color:var(--on-act)}button.no{background:transparent;color:var(--act)}\
:focus-visible{outline:3px solid var(--act);outline-offset:2px}";

/// Renders the consent page. `fields` are the request's parameters, sent back with the decision.
#[must_use]
pub fn page<'a>(
    client_id: &str,
    scope: &str,
    users: impl Iterator<Item = (&'a String, &'a User)>,
    hint: Option<&str>,
    fields: &[(String, String)],
) -> String {
    let accounts: Vec<String> = users
        .enumerate()
        .map(|(index, (email, user))| {
            let chosen = hint.map_or(index == 0, |hint| hint == email);
            let checked = if chosen { " checked" } else { "" };
            let (email, name) = (escape(email), escape(&user.name));
            format!(
                "<label><input type=\"radio\" name=\"account\" value=\"{email}\" required{checked}>\
                 <span>{name}<br><small>{email}</small></span></label>"
            )
        })
        .collect();
    let scopes: Vec<String> =
        scope.split_whitespace().map(|scope| format!("<li>{}</li>", escape(&words(scope)))).collect();
    let hidden: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", escape(name), escape(value)))
        .collect();
    let (accounts, scopes, hidden) = (accounts.concat(), scopes.concat(), hidden.concat());
    let client = escape(client_id);
    document(
        "Allow access to your Google account",
        &format!(
            "<h1>Allow <strong>{client}</strong> to use your account?</h1>\
             <p>This is the sandbox's stand-in for Google's consent page. Nothing here reaches Google.</p>\
             <form method=\"post\" action=\"/o/oauth2/v2/auth\">{hidden}\
             <fieldset><legend>Choose an account</legend>{accounts}</fieldset>\
             <p id=\"scopes\">It will be able to:</p><ul aria-labelledby=\"scopes\">{scopes}</ul>\
             <div class=\"row\"><button class=\"no\" type=\"submit\" name=\"decision\" value=\"cancel\" formnovalidate>Cancel</button>\
             <button class=\"yes\" type=\"submit\" name=\"decision\" value=\"allow\">Allow</button></div></form>"
        ),
    )
}

/// Renders the page for a request that cannot be sent back to its client.
#[must_use]
pub fn refusal(code: &str, reason: &str) -> String {
    let (code, reason) = (escape(code), escape(reason));
    let body = format!("<h1>Access blocked: authorization error</h1><p>{reason}</p><p>Error 400: {code}</p>");
    document("Access blocked", &body)
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title>\
         <style>{STYLE}</style></head><body><main>{body}</main></body></html>"
    )
}

fn words(scope: &str) -> String {
    match scope {
        DISPLAY_VIDEO => "See, create and change your Display & Video 360 campaigns".to_owned(),
        BID_MANAGER => "See and run your reports in Display & Video 360".to_owned(),
        "openid" => "Know who you are on Google".to_owned(),
        "email" | "https://www.googleapis.com/auth/userinfo.email" => "See your e-mail address".to_owned(),
        "profile" | "https://www.googleapis.com/auth/userinfo.profile" => "See your name".to_owned(),
        other => format!("Use {other}"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_sends_cannot_break_out_of_the_page() {
        let fields = [("state".to_owned(), "\"><script>".to_owned())];
        let html = page("<b>", DISPLAY_VIDEO, std::iter::empty(), None, &fields);
        assert!(!html.contains("<script>") && !html.contains("<b>"));
        assert!(html.contains("lang=\"en\"") && html.contains("<title>"));
    }
}
