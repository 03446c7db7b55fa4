//! What the configuration is, for people (`docs/configuration.md`) and for editors (JSON Schema).

use super::root::Root;
use super::section::{Key, Outline, Presence, joined};
use serde_json::{Value, json};

/// The JSON Schema of a configuration file.
pub fn schema() -> Value {
    let mut schema = Outline::of::<Root>().schema();
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("wsgate configuration");
    schema
}

/// `docs/configuration.md`: every key with its kind, default and meaning.
pub fn reference() -> String {
    let mut sections = Vec::new();
    collect(&Outline::of::<Root>(), &mut sections);
    let mut page = include_str!("reference.md").to_owned();
    page.push_str("\nThe tables, and the keys in each:\n\n");
    for section in &sections {
        let heading = capitalised(section.heading);
        page.push_str(&format!("- [{heading}](#{})\n", anchor(&heading)));
    }
    for section in &sections {
        page.push_str(&described(section));
    }
    page
}

/// A section, then those that stand in it, each once.
fn collect(outline: &Outline, sections: &mut Vec<Outline>) {
    if sections
        .iter()
        .any(|known| known.heading == outline.heading)
    {
        return;
    }
    sections.push(outline.clone());
    for key in &outline.keys {
        for inner in &key.shape.sections {
            collect(inner, sections);
        }
    }
}

fn described(section: &Outline) -> String {
    let mut text = format!(
        "\n## {}\n\n{}\n",
        capitalised(section.heading),
        joined(section.doc)
    );
    if !section.example.is_empty() {
        text.push_str(&format!("\n```toml\n{}```\n", section.example));
    }
    for key in &section.keys {
        text.push_str(&format!("\n- **`{}`**: {}.", key.name, kind_of(key)));
        for line in joined(key.doc).lines() {
            text.push_str(&format!("\n  {line}"));
        }
        text.push('\n');
    }
    text
}

fn kind_of(key: &Key) -> String {
    let shape = &key.shape.text;
    match key.presence {
        Presence::Required => format!("{shape}; required"),
        Presence::Optional => shape.clone(),
        Presence::Default("{}") => shape.clone(),
        Presence::Default(default) => format!("{shape}; default `{default}`"),
    }
}

/// What the renderers of Markdown make of a heading in links.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter_map(|char| match char {
        ' ' => Some('-'),
        '-' | '_' => Some(char),
        _ if char.is_alphanumeric() => Some(char.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

fn capitalised(heading: &str) -> String {
    let mut chars = heading.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}
