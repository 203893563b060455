//! Which places of a picture an answer rests on, by hiding them one after another.
//!
//! Source: Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks", section 4.2. A coarse grid comes first, then
//! finer places in the order of what the coarse ones said, so that whoever has little time has the most of it.

/// Rows and columns of the coarse grid.
const COARSE: usize = 4;
/// Rows and columns of the map.
const FINE: usize = 8;

/// How much the probability of a class falls when a place is hidden.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    /// Rows of the map: 8, or as many as the input has where it has fewer.
    pub rows: usize,
    /// Columns of the map.
    pub columns: usize,
    /// Fall of the class's calibrated probability, row by row, from -1 (the place spoke against the class) to 1. A place that there was
    /// no time for has the value of the coarse place around it.
    pub relevance: Vec<f32>,
    /// How often the network ran, 81 times for a whole map of 8 x 8.
    pub evaluations: usize,
    /// Whether there was time for every place.
    pub is_whole: bool,
    /// What the map covers of the picture before it was resized: left, top, width and height, as shares of the picture.
    pub area: [f32; 4],
}

/// Rows and columns of a grid on an input, and how far beyond its own edges a place is hidden.
#[derive(Clone, Copy)]
struct Grid {
    /// `[rows, columns]`.
    counts: [usize; 2],
    /// Divides a place's side; 0 for none.
    margin: usize,
}

impl Grid {
    fn new(most: usize, [height, width]: [usize; 2], margin: usize) -> Self {
        Self { counts: [most.min(height), most.min(width)], margin }
    }

    /// From where to where a place is hidden, by row and by column of the input.
    fn place(self, place: usize, sizes: [usize; 2]) -> [std::ops::Range<usize>; 2] {
        let [_, columns] = self.counts;
        let at = [place / columns, place % columns];
        std::array::from_fn(|axis| {
            let (count, size) = (self.counts[axis], sizes[axis]);
            let (start, end) = (at[axis] * size / count, (at[axis] + 1) * size / count);
            let margin = (end - start).checked_div(self.margin).unwrap_or(0);
            start.saturating_sub(margin)..(end + margin).min(size)
        })
    }
}

/// A network's probability of one class, with parts of its input hidden.
pub(crate) struct Occlusion<'a, Score> {
    /// `[channel, height, width]`.
    pub(crate) input: &'a [f32],
    /// `[height, width]`.
    pub(crate) sizes: [usize; 2],
    /// What hidden places hold: one value a channel.
    pub(crate) hidden: &'a [f32],
    pub(crate) score: Score,
}

impl<E, Score: FnMut(&[f32]) -> Result<f32, E>> Occlusion<'_, Score> {
    /// The map, which covers `area`; `None` where `keep_going` ended it before the coarse grid was whole.
    pub(crate) fn map(mut self, area: [f32; 4], mut keep_going: impl FnMut() -> bool) -> Result<Option<HeatMap>, E> {
        let (coarse, fine) = (Grid::new(COARSE, self.sizes, 0), Grid::new(FINE, self.sizes, 2));
        if !keep_going() {
            return Ok(None);
        }
        let whole = (self.score)(self.input)?;
        let mut buffer = self.input.to_vec();
        let mut coarse_falls = Vec::new();
        for place in 0..coarse.counts[0] * coarse.counts[1] {
            if !keep_going() {
                return Ok(None);
            }
            coarse_falls.push(whole - self.without(&mut buffer, coarse.place(place, self.sizes))?);
        }
        let [rows, columns] = fine.counts;
        let around = |place: usize| {
            let [row, column] =
                [place / columns * coarse.counts[0] / rows, place % columns * coarse.counts[1] / columns];
            coarse_falls[row * coarse.counts[1] + column]
        };
        let mut relevance: Vec<f32> = (0..rows * columns).map(around).collect();
        let mut order: Vec<usize> = (0..rows * columns).collect();
        order.sort_by(|a, b| around(*b).total_cmp(&around(*a)));
        let mut evaluations = 1 + coarse_falls.len();
        for &place in &order {
            if !keep_going() {
                return Ok(Some(HeatMap { rows, columns, relevance, evaluations, is_whole: false, area }));
            }
            relevance[place] = whole - self.without(&mut buffer, fine.place(place, self.sizes))?;
            evaluations += 1;
        }
        Ok(Some(HeatMap { rows, columns, relevance, evaluations, is_whole: true, area }))
    }

    /// The probability with `[rows, columns]` hidden; `buffer` holds the input before and after.
    fn without(&mut self, buffer: &mut [f32], [rows, columns]: [std::ops::Range<usize>; 2]) -> Result<f32, E> {
        let [height, width] = self.sizes;
        let lines = |channel: usize| rows.clone().map(move |row| (channel * height + row) * width);
        for (channel, &value) in self.hidden.iter().enumerate() {
            for line in lines(channel) {
                buffer[line + columns.start..line + columns.end].fill(value);
            }
        }
        let score = (self.score)(buffer);
        for line in (0..self.hidden.len()).flat_map(lines) {
            let part = line + columns.start..line + columns.end;
            buffer[part.clone()].copy_from_slice(&self.input[part]);
        }
        score
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// The map of a score on an input of two channels of ones; stops after `most` evaluations.
    fn map(sizes: [usize; 2], most: usize, score: impl Fn(&[f32]) -> f32) -> Option<HeatMap> {
        let input = vec![1.0; 2 * sizes[0] * sizes[1]];
        let mut n = 0;
        let occlusion = Occlusion {
            input: &input,
            sizes,
            hidden: &[0.0, 0.0],
            score: |input: &[f32]| Ok::<_, Infallible>(score(input)),
        };
        let keep_going = || {
            n += 1;
            n <= most
        };
        let Ok(map) = occlusion.map([0.0, 0.0, 1.0, 1.0], keep_going);
        map
    }

    /// The mean of the second channel over 2 x 2 pixels at row 10, column 4, of 16 x 16.
    fn evidence(input: &[f32]) -> f32 {
        [10, 11].map(|row| input[256 + row * 16 + 4] + input[256 + row * 16 + 5]).iter().sum::<f32>() / 4.0
    }

    #[test]
    fn the_place_of_the_evidence_is_the_hottest() {
        let map = map([16, 16], 81, evidence).unwrap();
        assert_eq!((map.rows, map.columns, map.evaluations, map.is_whole), (8, 8, 81, true));
        // A fine place is 2 x 2 pixels and hides one more about it: row 5, column 2 hides all of the evidence, its neighbours half.
        let drawn: Vec<String> =
            map.relevance.chunks(8).map(|row| row.iter().map(|fall| format!("{:.0}", 4.0 * fall)).collect()).collect();
        let expected = ["00000000", "00000000", "00000000", "00000000", "01210000", "02420000", "01210000", "00000000"];
        assert_eq!(drawn, expected);
    }

    #[test]
    fn what_there_is_no_time_for_has_the_value_of_the_coarse_place() {
        let map = map([16, 16], 17, evidence).unwrap();
        assert_eq!((map.evaluations, map.is_whole), (17, false));
        let hot: Vec<usize> = (0..64).filter(|place| map.relevance[*place] == 1.0).collect();
        assert_eq!(hot, [34, 35, 42, 43]);
        assert_eq!(map.relevance.iter().filter(|fall| **fall == 0.0).count(), 60);
    }

    #[test]
    fn hot_places_are_refined_first() {
        let few = map([16, 16], 17 + 4, evidence).unwrap();
        let all = map([16, 16], 81, evidence).unwrap();
        for place in [34, 35, 42, 43] {
            assert_eq!(few.relevance[place], all.relevance[place]);
        }
        assert_eq!(few.relevance[44], 0.0);
    }

    #[test]
    fn half_a_coarse_grid_is_no_map() {
        assert_eq!(map([16, 16], 16, evidence), None);
        assert_eq!(map([16, 16], 0, evidence), None);
    }

    #[test]
    fn what_speaks_against_a_class_is_cold() {
        let map = map([16, 16], 81, |input| 1.0 - evidence(input)).unwrap();
        assert_eq!(map.relevance[5 * 8 + 2], -1.0);
    }

    #[test]
    fn a_small_input_has_a_small_map_and_every_pixel_is_hidden_once() {
        let sizes = [3, 20];
        let map = map(sizes, 1000, |input| input.iter().sum::<f32>()).unwrap();
        assert_eq!((map.rows, map.columns, map.evaluations), (3, 8, 1 + 3 * 4 + 3 * 8));
        let coarse = Grid::new(COARSE, sizes, 0);
        let mut hidden = [[0; 20]; 3];
        for place in 0..12 {
            let [rows, columns] = coarse.place(place, sizes);
            rows.for_each(|row| hidden[row][columns.clone()].iter_mut().for_each(|times| *times += 1));
        }
        assert_eq!(hidden, [[1; 20]; 3]);
    }

    #[test]
    fn the_input_is_whole_again_after_each_place() {
        // Every score but the first hides something; two in a row would add up.
        let map = map([16, 16], 17, |input| input.iter().sum::<f32>()).unwrap();
        assert_eq!(map.relevance, [32.0; 64]);
    }
}
