//! Columns as Kafka's `printf` lays them out: each as wide as its widest cell, at least as wide as the format says, one
//! space between.

/// One column: its title, and the width below which it is not made; none for a last column without padding.
pub(crate) type Column = (&'static str, Option<usize>);

/// The table's lines, title first. A column marked in `grows` is as wide as its widest cell.
pub(crate) fn lines(columns: &[Column], grows: &[bool], rows: &[Vec<String>]) -> Vec<String> {
    let widths: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(at, (_, width))| {
            let longest = rows.iter().map(|row| length(&row[at])).max().unwrap_or(0);
            width.map(|width| if grows[at] { width.max(longest) } else { width })
        })
        .collect();
    let title = columns.iter().map(|(title, _)| (*title).to_owned()).collect();
    std::iter::once(&title).chain(rows).map(|row: &Vec<String>| line(row, &widths)).collect()
}

fn line(cells: &[String], widths: &[Option<usize>]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, width)| match width {
        Some(width) => format!("{cell}{}", " ".repeat(width.saturating_sub(length(cell)))),
        None => cell.clone(),
    });
    padded.collect::<Vec<_>>().join(" ")
}

/// What Java calls the length of a string.
fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_grow_and_columns_that_do_not() {
        let columns = [("GROUP", Some(7)), ("P", Some(3)), ("END", None)];
        let rows = [["a-long-group", "12345", "x"], ["g", "1", "y"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(
            lines(&columns, &[true, false, false], &rows),
            ["GROUP        P   END", "a-long-group 12345 x", "g            1   y"]
        );
    }
}
