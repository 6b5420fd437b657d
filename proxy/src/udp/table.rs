//! The flows of a listening socket, by who talks to whom, in the order in which clients last spoke.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    rc::Rc,
};

use slab::Slab;

/// What makes a flow: the client, and which of our addresses it speaks to (none: the only one).
pub(super) type FlowKey = (SocketAddr, Option<IpAddr>);

const NIL: usize = usize::MAX;

/// Flows of type `F`.
pub(super) struct Table<F> {
    by_key: HashMap<FlowKey, usize>,
    nodes: Slab<Node<F>>,
    /// The flow whose client has been silent for the longest time.
    oldest: usize,
    newest: usize,
}

struct Node<F> {
    key: FlowKey,
    flow: Rc<F>,
    older: usize,
    newer: usize,
}

impl<F> Default for Table<F> {
    fn default() -> Self {
        Self {
            by_key: HashMap::new(),
            nodes: Slab::new(),
            oldest: NIL,
            newest: NIL,
        }
    }
}

impl<F> Table<F> {
    /// The flow of this key, whose client speaks now.
    pub(super) fn touch(&mut self, key: &FlowKey) -> Option<Rc<F>> {
        let place = *self.by_key.get(key)?;
        if place != self.newest {
            self.unlink(place);
            self.link(place);
        }
        Some(Rc::clone(&self.nodes[place].flow))
    }

    /// Adds a flow, and returns the one of the same key that it replaces.
    pub(super) fn insert(&mut self, key: FlowKey, flow: Rc<F>) -> Option<Rc<F>> {
        let before = self.remove_key(&key);
        let place = self.nodes.insert(Node {
            key,
            flow,
            older: NIL,
            newer: NIL,
        });
        self.link(place);
        self.by_key.insert(key, place);
        before
    }

    /// Forgets this very flow, if it is there.
    pub(super) fn remove(&mut self, key: &FlowKey, flow: &F) {
        let place = self.by_key.get(key);
        if place.is_some_and(|&place| std::ptr::eq(&raw const *self.nodes[place].flow, flow)) {
            self.remove_key(key);
        }
    }

    /// The flow whose client has been silent for the longest time, taken out.
    pub(super) fn take_oldest(&mut self) -> Option<Rc<F>> {
        let key = self.nodes.get(self.oldest)?.key;
        self.remove_key(&key)
    }

    fn remove_key(&mut self, key: &FlowKey) -> Option<Rc<F>> {
        let place = self.by_key.remove(key)?;
        self.unlink(place);
        Some(self.nodes.remove(place).flow)
    }

    fn link(&mut self, place: usize) {
        let before = std::mem::replace(&mut self.newest, place);
        let node = &mut self.nodes[place];
        (node.older, node.newer) = (before, NIL);
        match before {
            NIL => self.oldest = place,
            before => self.nodes[before].newer = place,
        }
    }

    fn unlink(&mut self, place: usize) {
        let Node { older, newer, .. } = self.nodes[place];
        match older {
            NIL => self.oldest = newer,
            older => self.nodes[older].newer = newer,
        }
        match newer {
            NIL => self.newest = older,
            newer => self.nodes[newer].older = older,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(port: u16) -> FlowKey {
        (SocketAddr::from(([10, 0, 0, 1], port)), None)
    }

    fn drained(table: &mut Table<u16>) -> Vec<u16> {
        std::iter::from_fn(|| table.take_oldest())
            .map(|flow| *flow)
            .collect()
    }

    #[test]
    fn the_longest_silent_goes_first() {
        let mut table = Table::default();
        for n in 1..=4 {
            table.insert(key(n), Rc::new(n));
        }
        assert_eq!(table.touch(&key(1)).as_deref(), Some(&1));
        assert_eq!(table.touch(&key(3)).as_deref(), Some(&3));
        assert_eq!(table.touch(&key(9)), None);
        assert_eq!(drained(&mut table), [2, 4, 1, 3]);
        assert!(table.by_key.is_empty() && table.nodes.is_empty());
        table.insert(key(5), Rc::new(5));
        assert_eq!(drained(&mut table), [5]);
    }

    #[test]
    fn a_flow_that_was_replaced_does_not_take_the_new_one_with_it() {
        let mut table = Table::default();
        let (old, new) = (Rc::new(1), Rc::new(1));
        table.insert(key(1), Rc::clone(&old));
        table.insert(key(1), Rc::clone(&new));
        table.remove(&key(1), &old);
        assert!(
            table
                .touch(&key(1))
                .is_some_and(|flow| Rc::ptr_eq(&flow, &new))
        );
        table.remove(&key(1), &new);
        assert!(table.touch(&key(1)).is_none());
    }
}
