//! Chance that can be repeated: the same seed rolls the same numbers.

/// A sequence of numbers that only looks like chance.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

// === impl Dice ===

impl Dice {
    /// The sequence of a seed; `number` tells those who share one apart.
    pub(crate) fn new(seed: u64, number: u64) -> Dice {
        let mixed = seed ^ number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut dice = Dice(mixed | 1);
        for _ in 0..8 {
            dice.number();
        }
        dice
    }

    fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `sides`; 0 when there are none.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        if sides == 0 {
            return 0;
        }
        usize::try_from(self.number() % sides as u64).unwrap_or_default()
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.roll(times) == 0
    }

    /// One of several.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.roll(from.len())]
    }
}
