//! Values in the order of the log, each found by its place or by the id of a statement about it.

use std::collections::HashMap;
use std::ops::Deref;
use std::slice;

use crate::digest::StatementId;

/// Values of one type, ascending by the entries that they begin with.
#[derive(Debug)]
pub(super) struct ById<T> {
    all: Vec<T>,
    places: HashMap<StatementId, usize>,
}

impl<T> Default for ById<T> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            places: HashMap::new(),
        }
    }
}

impl<T> ById<T> {
    /// Adds the value that `id` begins.
    pub fn push(&mut self, id: StatementId, value: T) {
        self.places.insert(id, self.all.len());
        self.all.push(value);
    }

    /// Finds the value of `earlier` by `id` too, and returns it.
    pub fn extend(&mut self, earlier: &StatementId, id: StatementId) -> Option<&mut T> {
        let place = self.place(earlier)?;
        self.places.insert(id, place);
        self.all.get_mut(place)
    }

    /// The place of the value that a statement is about.
    pub fn place(&self, id: &StatementId) -> Option<usize> {
        self.places.get(id).copied()
    }

    /// The value that a statement is about.
    pub fn find(&self, id: &StatementId) -> Option<&T> {
        self.all.get(self.place(id)?)
    }

    /// As [`ById::find`].
    pub fn find_mut(&mut self, id: &StatementId) -> Option<&mut T> {
        let place = self.place(id)?;
        self.all.get_mut(place)
    }
}

impl<T> Deref for ById<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.all
    }
}

impl<'a, T> IntoIterator for &'a ById<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.iter()
    }
}
