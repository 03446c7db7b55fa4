//! A gateway before one server, without a file: `wsgate run --listen … --to …`.

use super::Settings;
use super::load::read;
use super::problem::{Log, Problems};
use super::reader::File;
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// One listener at `listen` and one route to the endpoint `to`, all else by default. Problems are
/// shown in the command line.
pub fn quick(listen: &str, to: &str) -> Result<Settings, Problems> {
    let text = format!("--listen {listen} --to {to}");
    let listen_at = "--listen ".len().."--listen ".len() + listen.len();
    let to_at = text.len() - to.len()..text.len();
    let root = DeTable::from_iter([
        entry(
            "listeners",
            listen_at.clone(),
            one_table("address", listen, listen_at),
        ),
        entry("routes", to_at.clone(), one_table("upstream", to, to_at)),
    ]);
    let tree = Spanned::new(0..0, DeValue::Table(root));
    let file = Arc::new(File {
        number: 0,
        path: "command line".into(),
        text,
    });
    read(&tree, Vec::new(), &file, Log::default(), &|name| {
        std::env::var(name).ok()
    })
}

/// `[{ key = text }]`
fn one_table<'t>(key: &'static str, text: &'t str, span: Range<usize>) -> DeValue<'t> {
    let value = DeValue::String(text.into());
    let table = DeTable::from_iter([entry(key, span.clone(), value)]);
    let mut list = DeArray::new();
    list.push(Spanned::new(span, DeValue::Table(table)));
    DeValue::Array(list)
}

fn entry<'t>(
    key: &'static str,
    span: Range<usize>,
    value: DeValue<'t>,
) -> (Spanned<toml::de::DeString<'t>>, Spanned<DeValue<'t>>) {
    (
        Spanned::new(span.clone(), key.into()),
        Spanned::new(span, value),
    )
}
