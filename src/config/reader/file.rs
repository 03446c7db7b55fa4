//! Configuration files as text, and places in them.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that was read, or text that stands for one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct File {
    /// 0 is the main file; problems are reported in this order.
    pub(crate) number: usize,
    /// As shown to the user.
    pub(crate) path: PathBuf,
    /// All of it.
    pub(crate) text: String,
}

impl File {
    /// What relative paths in this file are relative to.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or_else(|| Path::new(""))
    }

    /// The line that holds the byte at `offset`, counted from 0.
    pub(crate) fn line_of(&self, offset: usize) -> usize {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        before.iter().filter(|byte| **byte == b'\n').count()
    }
}

/// Some bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: Arc<File>,
    pub(crate) span: Range<usize>,
}

impl Place {
    /// The top level has no place of its own.
    pub(crate) fn is_whole_file(&self) -> bool {
        self.span == (0..0)
    }

    /// Orders places as a reader meets them.
    pub(crate) fn order(&self) -> (usize, usize, usize) {
        (self.file.number, self.span.start, self.span.end)
    }
}

/// A value with the place where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}
