//! `wsgate explain`: what would become of a handshake, and why.

use super::{CONFIGURATION, answer, check, complain};
use crate::gateway::{Explanation, Question, Site, Verdict, explain};
use crate::tls::ClientCertificate;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use http::header::{AUTHORIZATION, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderName, HeaderValue, Uri};
use serde_json::{Value, json};
use std::fmt::{self, Display};
use std::io::IsTerminal;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::runtime::Builder;

/// `wsgate explain FILE URL`
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The configuration.
    file: PathBuf,
    /// As a client opens it: `wss://chat.example.com/room?key=…`; a name and a password in it are sent as
    /// clients send them.
    url: Uri,
    /// The page's origin, as browsers send it: `https://app.example.com`.
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<HeaderValue>,
    /// A subprotocol that is offered; may be repeated.
    #[arg(long, value_name = "NAME")]
    protocol: Vec<String>,
    /// A header of the handshake, `Name: value`; may be repeated.
    #[arg(long, value_name = "LINE", value_parser = header)]
    header: Vec<(HeaderName, HeaderValue)>,
    /// As if that had been proven, `method:name`: no credential is looked at.
    #[arg(long, value_name = "IDENTITY")]
    user: Option<String>,
    /// The client's address.
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    from: IpAddr,
    /// The certificate that the client shows, PEM. It is taken to be good.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The listener, by its name. Left out: the first of the URL's scheme and port.
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

impl Explain {
    /// 0 if the handshake would be admitted, 1 if it would be refused.
    pub(super) fn execute(self) -> ExitCode {
        let is_json = self.json;
        let explanation = match self.explained() {
            Ok(explanation) => explanation,
            Err(code) => return code,
        };
        let is_admitted = matches!(explanation.verdict, Verdict::Admitted { .. });
        let told = match is_json {
            true => answer(as_json(&explanation)),
            false => answer(Told {
                explanation: &explanation,
                is_coloured: std::io::stdout().is_terminal(),
            }),
        };
        match is_admitted {
            true => told,
            false => ExitCode::FAILURE,
        }
    }

    fn explained(self) -> Result<Explanation, ExitCode> {
        let settings = check::load(Some(&self.file))?;
        let unusable = |error: &(dyn std::error::Error + 'static)| {
            complain(error);
            ExitCode::from(CONFIGURATION)
        };
        let question = self.question().map_err(|error| unusable(&*error))?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| unusable(&error))?;
        runtime.block_on(async {
            let site = Site::assemble(&settings).map_err(|error| unusable(&error))?;
            let explained = explain(&settings, Arc::new(site), &question).await;
            explained.map_err(|error| unusable(&error))
        })
    }

    fn question(self) -> Result<Question, Box<dyn std::error::Error>> {
        let mut headers = self.header;
        if let Some(origin) = self.origin {
            headers.push((ORIGIN, origin));
        }
        if !self.protocol.is_empty() {
            let offer = HeaderValue::try_from(self.protocol.join(", "))?;
            headers.push((SEC_WEBSOCKET_PROTOCOL, offer));
        }
        headers.extend(password(&self.url));
        let certificate = self.certificate.as_deref();
        Ok(Question {
            url: self.url,
            listener: self.listener,
            client: self.from,
            headers,
            certificate: certificate.map(ClientCertificate::read).transpose()?,
            identity: self.user,
        })
    }
}

/// What a client makes of `wss://name:password@host`.
fn password(url: &Uri) -> Option<(HeaderName, HeaderValue)> {
    let (name_and_password, _) = url.authority()?.as_str().rsplit_once('@')?;
    let token = STANDARD.encode(name_and_password);
    let value = HeaderValue::try_from(format!("Basic {token}")).ok()?;
    Some((AUTHORIZATION, value))
}

fn header(line: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = line.split_once(':').ok_or("write `Name: value`")?;
    let name = name
        .trim()
        .parse()
        .map_err(|_| format!("`{name}` is no header"))?;
    let value = HeaderValue::from_str(value.trim());
    Ok((name, value.map_err(|_| "the value cannot be sent")?))
}

/// For people.
struct Told<'e> {
    explanation: &'e Explanation,
    is_coloured: bool,
}

impl Told<'_> {
    fn paint(&self, colour: u8, text: &str) -> String {
        match self.is_coloured {
            true => format!("\x1b[{colour}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

const RED: u8 = 31;
const GREEN: u8 = 32;
const YELLOW: u8 = 33;

impl Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Explanation {
            listener,
            steps,
            verdict,
        } = self.explanation;
        writeln!(f, "  listener   {listener}")?;
        for step in steps {
            let mark = match step.is_passed {
                true => self.paint(GREEN, "✓"),
                false => self.paint(YELLOW, "–"),
            };
            writeln!(f, "{mark} {:<10} {}", step.check, printable(&step.detail))?;
        }
        match verdict {
            Verdict::Admitted { upstream, request } => {
                let admitted = self.paint(GREEN, "admitted");
                write!(f, "{admitted}: the upstream `{upstream}` would be asked")?;
                for line in request {
                    write!(f, "\n    {}", printable(line))?;
                }
                Ok(())
            }
            Verdict::Refused {
                status,
                reason,
                detail,
            } => {
                let refused = self.paint(RED, "refused");
                let detail = printable(detail);
                write!(f, "{refused}: {status} {reason}: {detail}")
            }
        }
    }
}

/// No control character reaches the terminal.
fn printable(text: &str) -> String {
    let shown = |char: char| match char.is_control() {
        true => char.escape_debug().to_string(),
        false => char.to_string(),
    };
    text.chars().map(shown).collect()
}

fn as_json(explanation: &Explanation) -> Value {
    let step = |step: &crate::gateway::Step| json!({ "check": step.check, "passed": step.is_passed, "detail": step.detail });
    let steps: Vec<Value> = explanation.steps.iter().map(step).collect();
    let verdict = match &explanation.verdict {
        Verdict::Admitted { upstream, request } => {
            json!({ "admitted": true, "upstream": upstream, "request": request })
        }
        Verdict::Refused {
            status,
            reason,
            detail,
        } => json!({ "admitted": false, "status": status, "reason": reason, "detail": detail }),
    };
    json!({ "listener": explanation.listener, "steps": steps, "verdict": verdict })
}
