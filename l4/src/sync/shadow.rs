//! What was told of each place of a table: eight bytes a place, as many as the table has.

use xdp::abi::LANES;

/// Whose a flow is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Owner {
    /// Nothing was told of this place.
    #[default]
    None,
    /// Its packets come by here: we tell of it.
    Us,
    /// A peer told us of it, and none of its packets came by since.
    Peer,
}

/// What was told of a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// Until when who was told remembers it; of one that a peer told us, what we put in.
    pub(super) expires: u32,
    /// The tag of the flow that it is of.
    pub(super) tag: u16,
    pub(super) state: u8,
    pub(super) owner: Owner,
}

const _: () = assert!(size_of::<Mark>() == 8);

/// The marks of one table.
#[derive(Debug, Default)]
pub(super) struct Shadow(Vec<Mark>);

impl Shadow {
    /// Is as large as a table of so many buckets.
    pub(super) fn fit(&mut self, buckets: u32) {
        let places = buckets as usize * LANES;
        if self.0.len() != places {
            self.0 = vec![Mark::default(); places];
        }
    }

    /// That of a place.
    pub(super) fn at(&mut self, bucket: u32, place: usize) -> Option<&mut Mark> {
        self.0.get_mut(bucket as usize * LANES + place)
    }
}
