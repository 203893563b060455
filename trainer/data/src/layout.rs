//! The layouts in which sets come.

use std::path::Path;

use crate::index::{OpenIndexError, Row, Split};
use crate::source::{Source, stays_inside};

const TABLE: &str = "labels.csv";
const PICTURES: [&str; 4] = ["png", "jpg", "jpeg", "dcm"];

/// Rows and files of the set at `path`.
pub(crate) fn open(path: &Path) -> Result<(Vec<Row>, Source), OpenIndexError> {
    if path.is_dir() {
        let table = path.join(TABLE);
        if table.is_file() { open_table(&table) } else { class_folders(Source::Folder(path.to_owned())) }
    } else {
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        match ending.as_str() {
            "csv" => open_table(path),
            "zip" => {
                let source = Source::open_zip(path).map_err(OpenIndexError::Zip)?;
                if source.length(TABLE).is_some() {
                    let what = "labels.csv in the zip file";
                    let table = source.read(TABLE).map_err(|source| OpenIndexError::Read { what, source })?;
                    Ok((rows_of(&table)?, source))
                } else {
                    class_folders(source)
                }
            }
            _ if path.exists() => Err(OpenIndexError::UnknownKind { ending }),
            _ => Err(OpenIndexError::Read { what: "the set", source: std::io::ErrorKind::NotFound.into() }),
        }
    }
}

fn open_table(path: &Path) -> Result<(Vec<Row>, Source), OpenIndexError> {
    let table = std::fs::read(path).map_err(|source| OpenIndexError::Read { what: "the table of labels", source })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let archive = folder.join("images.zip");
    let source = if archive.is_file() {
        Source::open_zip(&archive).map_err(OpenIndexError::Zip)?
    } else {
        Source::Folder(folder.to_owned())
    };
    Ok((rows_of(&table)?, source))
}

fn rows_of(table: &[u8]) -> Result<Vec<Row>, OpenIndexError> {
    let table = table.strip_prefix(b"\xef\xbb\xbf").unwrap_or(table);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(table);
    let headings = reader.headers().map_err(OpenIndexError::Csv)?.clone();
    let column = |name: &str| headings.iter().position(|heading| heading == name);
    let missing =
        |expected| OpenIndexError::MissingColumn { expected, found: headings.iter().collect::<Vec<_>>().join(", ") };
    let file = column("file").ok_or_else(|| missing("file"))?;
    let label = column("label_name").or_else(|| column("label")).ok_or_else(|| missing("label (or label_name)"))?;
    let (site, patient, split) = (column("site"), column("patient"), column("split"));
    let group = column("group").or_else(|| column("dup_group"));
    let mut rows = Vec::new();
    for (index, record) in reader.records().enumerate() {
        let record = record.map_err(OpenIndexError::Csv)?;
        let cell = |column: Option<usize>| {
            column.and_then(|column| record.get(column)).filter(|cell| !cell.is_empty()).map(str::to_owned)
        };
        let file = cell(Some(file)).unwrap_or_default();
        if !stays_inside(&file) {
            return Err(OpenIndexError::Escapes { row: index + 1 });
        }
        let (patient, group) = (cell(patient), cell(group));
        let split = match cell(split) {
            None => Split::of_key(&Row::key(patient.as_deref(), group.as_deref(), &file)),
            Some(word) => {
                Split::from_word(&word).ok_or(OpenIndexError::UnknownSplit { row: index + 1, found: word })?
            }
        };
        rows.push(Row { label: cell(Some(label)), site: cell(site), file, patient, split, group });
    }
    Ok(rows)
}

/// `class/file`, or `split/class/file` when every outer folder is named after a split.
fn class_folders(source: Source) -> Result<(Vec<Row>, Source), OpenIndexError> {
    let mut names = source.names().map_err(|source| OpenIndexError::Read { what: "the folder", source })?;
    names.retain(|name| {
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_lowercase();
        let is_hidden = name.split('/').any(|part| part.starts_with('.') || part == "__MACOSX");
        PICTURES.contains(&ending.as_str()) && !is_hidden && stays_inside(name)
    });
    let parts: Vec<Vec<&str>> = names.iter().map(|name| name.split('/').collect()).collect();
    let has_splits = parts.iter().all(|parts| parts.len() == 3 && Split::from_word(parts[0]).is_some());
    let rows: Vec<Row> = names
        .iter()
        .zip(&parts)
        .filter_map(|(name, parts)| {
            let label = parts.iter().rev().nth(1)?;
            let named = Split::from_word(parts[0]).filter(|_| has_splits);
            let split = named.unwrap_or_else(|| Split::of_key(&Row::key(None, None, name)));
            let label = Some((*label).to_owned());
            Some(Row { file: name.clone(), label, site: None, patient: None, split, group: None })
        })
        .collect();
    Ok((rows, source))
}
