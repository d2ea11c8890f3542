//! Tables for people: upper-case heads, columns two blanks apart, numbers to the right.

use std::io::{self, Write};

/// Rows under heads.
#[derive(Clone, Debug)]
pub struct Table {
    heads: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new(heads: &[&str]) -> Self {
        Table { heads: heads.iter().map(|head| (*head).to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row; it has as many cells as there are heads.
    pub fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.heads.len(), "a cell for every head");
        self.rows.push(cells);
    }

    /// Prints heads and rows.
    pub fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let width = |column: usize| {
            let cells = self.rows.iter().chain([&self.heads]).map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.heads.len()).map(width).collect();
        let is_number = |column: usize| {
            !self.rows.is_empty()
                && self.rows.iter().all(|row| row[column] == "-" || row[column].parse::<f64>().is_ok())
        };
        let right: Vec<bool> = (0..self.heads.len()).map(is_number).collect();
        for row in [&self.heads].into_iter().chain(&self.rows) {
            let cells = row.iter().enumerate().map(|(at, cell)| match right[at] {
                true => format!("{cell:>width$}", width = widths[at]),
                false => format!("{cell:<width$}", width = widths[at]),
            });
            writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stands_left_and_numbers_right() {
        let mut table = Table::new(&["TOPIC", "PARTITIONS", "INTERNAL"]);
        table.row(vec!["a".into(), "3".into(), "no".into()]);
        table.row(vec!["a-longer-one".into(), "50".into(), "yes".into()]);
        let mut text = Vec::new();
        table.print(&mut text).unwrap();
        let expect =
            "TOPIC         PARTITIONS  INTERNAL\na                      3  no\na-longer-one          50  yes\n";
        assert_eq!(String::from_utf8(text).unwrap(), expect);
    }
}
