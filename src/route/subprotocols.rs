//! The last choice: among routes of one host and path, by what the client offers.

use std::fmt;

/// Routes of one host and path.
#[derive(Debug, Clone)]
pub(super) struct Choice<T> {
    /// In the order in which they were added.
    routes: Vec<T>,
    /// Sorted by token; each with the index of its route.
    tokens: Vec<(String, usize)>,
    /// Index of the route that lists none.
    open: Option<usize>,
}

/// What two routes of one host and path must not share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clash {
    /// Both list this subprotocol.
    Subprotocol(String),
    /// Neither lists any.
    Open,
}

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subprotocol(token) => write!(f, "the subprotocol `{token}`"),
            Self::Open => f.write_str("any subprotocol"),
        }
    }
}

impl<T> Default for Choice<T> {
    fn default() -> Self {
        Self {
            routes: Vec::new(),
            tokens: Vec::new(),
            open: None,
        }
    }
}

impl<T> Choice<T> {
    /// Adds a route that lists `subprotocols`, or gives the one that was there before and what both
    /// claim; then nothing is added.
    pub(super) fn add(&mut self, subprotocols: &[String], route: T) -> Result<(), (Clash, &T)> {
        if let Some((clash, earlier)) = self.clash(subprotocols) {
            return Err((clash, &self.routes[earlier]));
        }
        let index = self.routes.len();
        self.routes.push(route);
        if subprotocols.is_empty() {
            self.open = Some(index);
        }
        let tokens = subprotocols.iter().map(|token| (token.clone(), index));
        self.tokens.extend(tokens);
        self.tokens.sort();
        Ok(())
    }

    /// The route of the first of the `offered` that any lists, else the one that lists none.
    pub(super) fn find(&self, offered: &[String]) -> Option<&T> {
        let listed = offered.iter().find_map(|token| self.index(token));
        listed.or(self.open).map(|index| &self.routes[index])
    }

    /// The route for a request that is no handshake: the one that lists none, else the first that
    /// `serves` such requests, else the first.
    pub(super) fn find_plain(&self, serves: impl Fn(&T) -> bool) -> Option<&T> {
        match self.open {
            Some(open) => self.routes.get(open),
            None => self
                .routes
                .iter()
                .find(|route| serves(route))
                .or_else(|| self.routes.first()),
        }
    }

    fn clash(&self, subprotocols: &[String]) -> Option<(Clash, usize)> {
        if subprotocols.is_empty() {
            return self.open.map(|index| (Clash::Open, index));
        }
        subprotocols.iter().find_map(|token| {
            let index = self.index(token)?;
            Some((Clash::Subprotocol(token.clone()), index))
        })
    }

    fn index(&self, token: &str) -> Option<usize> {
        let place = self
            .tokens
            .binary_search_by(|(known, _)| known.as_str().cmp(token))
            .ok()?;
        self.tokens.get(place).map(|(_, index)| *index)
    }
}
