//! How options are found among arguments, as popt does it: anywhere, bundled (`-Ln`), with their argument in the
//! same word (`-t1.2.3.4:80`, `-t=1.2.3.4:80`, `--tcp-service=…`) or in the next; `--` ends them.

use std::fmt;

/// An option that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Definition<T> {
    /// Its name after two dashes.
    pub long: &'static str,
    /// Its letter after one.
    pub short: Option<char>,
    /// Whether an argument follows.
    pub argument: Argument,
    /// What it stands for.
    pub meaning: T,
}

/// Whether an argument follows an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// None does.
    None,
    /// One does, whatever it looks like.
    Required,
    /// One may, if it does not look like an option.
    Optional,
}

/// What is wrong with an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No such option.
    Unknown,
    /// Its argument is missing.
    Missing,
    /// It takes none.
    Unwanted,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown option",
            Self::Missing => "missing argument",
            Self::Unwanted => "option does not take an argument",
        })
    }
}

/// Goes through arguments.
#[derive(Debug)]
pub struct Scanner<'a, T> {
    definitions: &'a [Definition<T>],
    arguments: &'a [String],
    next: usize,
    /// What is left of a word of bundled letters.
    bundle: &'a str,
    only_words: bool,
    words: Vec<&'a str>,
}

impl<'a, T: Copy> Scanner<'a, T> {
    /// Begins with the first of `arguments`.
    #[must_use]
    pub fn new(definitions: &'a [Definition<T>], arguments: &'a [String]) -> Self {
        Self {
            definitions,
            arguments,
            next: 0,
            bundle: "",
            only_words: false,
            words: Vec::new(),
        }
    }

    /// The next option with its argument; none: there is no further one.
    ///
    /// # Errors
    /// What is wrong with the word that [`Self::last`] gives.
    pub fn option(&mut self) -> Result<Option<(T, Option<&'a str>)>, Fault> {
        if self.bundle.is_empty() {
            let Some(word) = self.next_option_word() else {
                return Ok(None);
            };
            match word.strip_prefix("--") {
                Some(long) => return self.long(long).map(Some),
                None => self.bundle = word.get(1..).unwrap_or_default(),
            }
        }
        self.letter().map(Some)
    }

    /// The word that was looked at last.
    #[must_use]
    pub fn last(&self) -> &'a str {
        let at = self.next.checked_sub(1);
        at.and_then(|at| self.arguments.get(at))
            .map_or("", String::as_str)
    }

    /// The words that are neither options nor arguments of options. All are known when there is no further option.
    #[must_use]
    pub fn words(&self) -> &[&'a str] {
        &self.words
    }

    fn take(&mut self) -> Option<&'a str> {
        let word = self.arguments.get(self.next)?;
        self.next += 1;
        Some(word)
    }

    fn next_option_word(&mut self) -> Option<&'a str> {
        loop {
            let word = self.take()?;
            if self.only_words || !word.starts_with('-') || word == "-" {
                self.words.push(word);
            } else if word == "--" {
                self.only_words = true;
            } else {
                return Some(word);
            }
        }
    }

    fn long(&mut self, word: &'a str) -> Result<(T, Option<&'a str>), Fault> {
        let (name, given) = match word.split_once('=') {
            Some((name, given)) => (name, Some(given)),
            None => (word, None),
        };
        let found = self.definitions.iter().find(|d| d.long == name);
        let found = found.ok_or(Fault::Unknown)?;
        if found.argument == Argument::None && given.is_some() {
            return Err(Fault::Unwanted);
        }
        self.with_argument(found, given)
    }

    fn letter(&mut self) -> Result<(T, Option<&'a str>), Fault> {
        let mut letters = self.bundle.chars();
        let letter = letters.next();
        let rest = letters.as_str();
        self.bundle = "";
        let found = self.definitions.iter().find(|d| d.short == letter);
        let found = found.ok_or(Fault::Unknown)?;
        if found.argument == Argument::None {
            self.bundle = rest;
            return Ok((found.meaning, None));
        }
        let given = rest.strip_prefix('=').unwrap_or(rest);
        self.with_argument(found, (!rest.is_empty()).then_some(given))
    }

    fn with_argument(
        &mut self,
        found: &Definition<T>,
        given: Option<&'a str>,
    ) -> Result<(T, Option<&'a str>), Fault> {
        let argument = match (found.argument, given) {
            (Argument::None, _) => None,
            (_, Some(given)) => Some(given),
            (Argument::Required, None) => Some(self.take().ok_or(Fault::Missing)?),
            (Argument::Optional, None) => {
                let follows = self.arguments.get(self.next);
                if follows.is_some_and(|word| !word.starts_with('-')) {
                    self.take()
                } else {
                    None
                }
            }
        };
        Ok((found.meaning, argument))
    }
}
