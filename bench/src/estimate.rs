//! What several runs say together: the median, and how far it can be trusted (bootstrap).

/// How many resamples a bootstrap draws.
const RESAMPLES: usize = 5_000;

/// A median with its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The median.
    pub median: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// How many values there were.
    pub count: usize,
}

impl Estimate {
    /// The median of `values` and the percentile-bootstrap interval of that median. `None` without values. Of few values (two, in
    /// a quick run) the interval is their whole range, and says no more than that.
    pub fn of(values: &[f64]) -> Option<Estimate> {
        let values: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        if values.is_empty() {
            return None;
        }
        let mut random = SplitMix(0x5eed);
        let mut drawn = vec![0.0; values.len()];
        let mut medians: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                for slot in &mut drawn {
                    *slot = values[random.below(values.len())];
                }
                median(&mut drawn)
            })
            .collect();
        medians.sort_by(f64::total_cmp);
        let at = |share: f64| medians[((RESAMPLES - 1) as f64 * share).round() as usize];
        Some(Estimate { median: median(&mut values.clone()), low: at(0.025), high: at(0.975), count: values.len() })
    }
}

/// The middle value, or the mean of the two middle ones. Sorts.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) { f64::midpoint(values[middle - 1], values[middle]) } else { values[middle] }
}

/// Steele, Lea, Flood: a small generator, so that the same results give the same interval.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_its_interval_and_the_interval_in_the_values() {
        let e = Estimate::of(&[3.0, 1.0, 2.0, 5.0, 4.0]).unwrap();
        assert_eq!((e.median, e.count), (3.0, 5));
        // 95 % of the medians of five draws out of five lie between the second smallest and second largest or wider.
        assert!((1.0..=2.0).contains(&e.low) && (4.0..=5.0).contains(&e.high), "{e:?}");
    }

    #[test]
    fn one_two_and_no_values() {
        assert_eq!(Estimate::of(&[]), None);
        assert_eq!(Estimate::of(&[f64::NAN]), None);
        let one = Estimate::of(&[7.0]).unwrap();
        assert_eq!((one.median, one.low, one.high), (7.0, 7.0, 7.0));
        let two = Estimate::of(&[1.0, 3.0]).unwrap();
        assert_eq!((two.median, two.low, two.high), (2.0, 1.0, 3.0));
    }

    #[test]
    fn the_interval_covers_the_truth_about_as_often_as_it_says() {
        // 200 samples of 15 values around 10; the true median lies in the interval in 95 of 100, give or take what 15 allow.
        let mut random = SplitMix(1);
        let covered = (0..200)
            .filter(|_| {
                let values: Vec<f64> =
                    (0..15).map(|_| 9.0 + (0..4).map(|_| random.below(1_000) as f64 / 2_000.0).sum::<f64>()).collect();
                Estimate::of(&values).is_some_and(|e| e.low <= 10.0 && 10.0 <= e.high)
            })
            .count();
        assert!((178..=199).contains(&covered), "{covered} of 200");
    }

    #[test]
    fn the_same_values_give_the_same_interval() {
        let values = [1.5, 9.0, 2.5, 3.0, 8.0, 4.0];
        assert_eq!(Estimate::of(&values), Estimate::of(&values));
    }
}
