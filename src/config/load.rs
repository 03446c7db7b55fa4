//! Reads the files, the included ones too, and makes settings of them.

use super::Settings;
use super::assemble::assemble;
use super::include;
use super::kind::plainly;
use super::problem::{Log, Problem, Problems};
use super::reader::{self, Broken, File, Node, Source, Variables};
use super::root::Root;
use std::path::Path;
use std::sync::Arc;
use toml::Spanned;
use toml::de::DeValue;

/// Reads the configuration file at `path` and those that it includes.
pub fn load(path: &Path) -> Result<Settings, Problems> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text, path),
        Err(error) => {
            let title = format!("can't read `{}`: {}", path.display(), plainly(&error));
            Err(Problems::one(Problem::new(title)))
        }
    }
}

/// Reads `text` as if it stood in a file at `path`, which need not exist: messages name it, and
/// relative paths are relative to its folder.
pub fn parse(text: &str, path: &Path) -> Result<Settings, Problems> {
    parse_with(text, path, &|name| std::env::var(name).ok())
}

/// [`parse`] with variables from elsewhere than the environment.
pub(super) fn parse_with(
    text: &str,
    path: &Path,
    variables: &Variables,
) -> Result<Settings, Problems> {
    let file = Arc::new(File {
        number: 0,
        path: path.to_owned(),
        text: text.to_owned(),
    });
    let log = Log::default();
    let (tree, broken) = reader::parse(&file, &log);
    read(&tree, broken, &file, log, variables)
}

/// Makes settings of the tree of the main file.
pub(super) fn read<'a>(
    tree: &'a Spanned<DeValue<'a>>,
    mut broken: Vec<Broken>,
    file: &Arc<File>,
    log: Log,
    variables: &'a Variables,
) -> Result<Settings, Problems> {
    let settings = {
        let bare = source(file, &log, variables, None);
        let defaults = Node::new(tree, &bare).get("route_defaults");
        let main = source(file, &log, variables, defaults.clone());
        let node = Node::new(tree, &main);
        let root = Root::of_main(&node).map(|mut root| {
            for file in include::files(&root.include, file, &log) {
                let (tree, more) = reader::parse(&file, &log);
                broken.extend(more);
                let source = source(&file, &log, variables, defaults.clone());
                let included = Root::of_included(&Node::new(&tree, &source));
                if let Some(included) = included {
                    root.append(included);
                }
            }
            root
        });
        root.and_then(|root| assemble(root, &node.place(), &log))
    };
    reader::report(broken, &log);
    log.finish()?;
    // Whoever has no value has said why, so this is never told.
    settings.ok_or_else(|| Problems::one(Problem::new("this configuration cannot be used")))
}

fn source<'s>(
    file: &Arc<File>,
    log: &'s Log,
    variables: &'s Variables,
    route_defaults: Option<Node<'s>>,
) -> Source<'s> {
    let file = Arc::clone(file);
    Source {
        file,
        log,
        variables,
        route_defaults,
    }
}
