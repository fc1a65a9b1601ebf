//! The sizes of objects that are kept.

/// Objects that are not smaller and not larger than this are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The least size, in bytes.
    pub min: u64,
    /// The greatest size, in bytes.
    pub max: u64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            min: 0,
            max: u64::MAX,
        }
    }
}

impl Sizes {
    /// Whether an object of so many bytes is kept.
    pub fn takes(&self, size: u64) -> bool {
        self.min <= size && size <= self.max
    }

    /// Whether an object that has so many bytes, and perhaps more, may still be kept.
    pub fn may_take(&self, so_far: u64) -> bool {
        so_far <= self.max
    }

    /// Whether every size is taken.
    pub fn take_all(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_taken_may_be_taken_at_every_moment(min: u16, max: u16, size: u16, part: u16) {
            let sizes = Sizes { min: min.into(), max: max.into() };
            let (size, part) = (u64::from(size), u64::from(part.min(size)));
            prop_assert!(!sizes.takes(size) || sizes.may_take(part));
            prop_assert_eq!(sizes.takes(size), size >= sizes.min && sizes.may_take(size));
        }
    }

    #[test]
    fn all_sizes_are_taken_unless_one_says_otherwise() {
        let all = Sizes::default();
        assert!(all.take_all() && all.takes(0) && all.takes(u64::MAX));
        assert!(!Sizes { max: 9, ..all }.take_all());
    }
}
