//! Numbers in columns, for a terminal and for a README.

use std::fmt;

/// A table with a title.
#[derive(Clone, Debug)]
pub struct Table {
    title: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new(title: impl Into<String>, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        Self { title: title.into(), columns, rows: vec![] }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// If it has another number of cells than there are columns.
    pub fn row(&mut self, cells: &[&dyn fmt::Display]) {
        assert_eq!(cells.len(), self.columns.len(), "one cell a column in {:?}", self.title);
        self.rows.push(cells.iter().map(ToString::to_string).collect());
    }

    fn width(&self, index: usize) -> usize {
        let cells = self.rows.iter().map(|row| &row[index]).chain([&self.columns[index]]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}

/// As Markdown, in columns that line up.
impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}\n", self.title)?;
        let widths: Vec<usize> = (0..self.columns.len()).map(|index| self.width(index)).collect();
        let rule: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
        for row in [&self.columns, &rule].into_iter().chain(&self.rows) {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
            writeln!(formatter, "| {} |", cells.join(" | "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new("frames", &["what", "n"]);
        table.row(&[&"sent", &1000]);
        table.row(&[&"lost", &0]);
        assert_eq!(table.to_string(), "frames\n\n| what | n    |\n| ---- | ---- |\n| sent | 1000 |\n| lost | 0    |\n");
    }
}
