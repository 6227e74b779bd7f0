//! The chain's own clock.

use super::header::Header;
use super::schedule::Below;
use crate::registry::limit::MEDIAN_TIME_BLOCKS;

/// The median of the times of the last eleven blocks, which the next block's time must exceed.
///
/// `newest_first` gives header times in seconds, the newest block's first; only the first eleven
/// are looked at. With fewer there are fewer to choose from, and of an even number the later of the
/// middle two counts, as in Bitcoin. `None` when there is no block.
///
/// ```
/// use medledger_core::pow::median_time_past;
/// assert_eq!(median_time_past([50, 10, 40]), Some(40));
/// assert_eq!(median_time_past([]), None);
/// ```
#[must_use]
pub fn median_time_past(newest_first: impl IntoIterator<Item = u32>) -> Option<u32> {
    let mut times: Vec<u32> = newest_first.into_iter().take(MEDIAN_TIME_BLOCKS).collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

/// The [median time](median_time_past) of `header`, which is at `height`, and the ten below it.
///
/// # Errors
/// What `below` says when a header cannot be had.
pub fn median_time_at<E>(header: &Header, height: u64, below: Below<'_, E>) -> Result<u32, E> {
    let mut newest_first = vec![header.time];
    let oldest = (height + 1).saturating_sub(MEDIAN_TIME_BLOCKS as u64);
    for height in (oldest..height).rev() {
        newest_first.push(below(height)?.time);
    }
    Ok(median_time_past(newest_first).unwrap_or(header.time))
}

#[cfg(test)]
mod tests {
    use super::median_time_past;

    #[test]
    fn pitfall_26_one_wild_time_does_not_move_the_median() {
        let times = [1000, 990, 980, 970, 960, 950, 940, 930, 920, 910, 900];
        assert_eq!(median_time_past(times), Some(950));
        let mut wild = times;
        wild[0] = u32::MAX;
        assert_eq!(median_time_past(wild), Some(950));
        wild[0] = 0;
        assert_eq!(median_time_past(wild), Some(940));
    }

    #[test]
    fn only_the_last_eleven_count_and_an_even_number_takes_the_later() {
        assert_eq!(median_time_past((0..100).rev()), Some(94));
        assert_eq!(median_time_past([7]), Some(7));
        assert_eq!(median_time_past([7, 5]), Some(7));
        assert_eq!(median_time_past([7, 5, 6, 4]), Some(6));
    }
}
