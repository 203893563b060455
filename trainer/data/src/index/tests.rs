use std::fs;
use std::io::Write;

use remedis_imaging::{Channels, Depth, Image, encode_png};

use super::*;

fn png(grey: u8) -> Vec<u8> {
    encode_png(&Image::new(2, 2, Channels::Grey, vec![grey; 4]))
}

/// A folder with a table and files of one grey value each.
fn folder(table: &str, files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("labels.csv"), table).unwrap();
    for (grey, file) in files.iter().enumerate() {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, png(grey as u8)).unwrap();
    }
    folder
}

fn zip_of(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn a_table_with_loose_files_is_read_in_its_order() {
    let table = "file,label,label_name,patient,split,dup_group,extra\nx/b.png,1,cat,p1,val,,?\na.png,0,,p2,TEST,g7,?\n";
    let folder = folder(table, &["a.png", "x/b.png"]);
    let index = Index::open(folder.path()).unwrap();
    assert_eq!(index.rows[0].label.as_deref(), Some("cat"));
    assert_eq!((index.rows[0].split, index.rows[0].patient.as_deref()), (Split::Val, Some("p1")));
    assert_eq!((index.rows[1].split, index.rows[1].group.as_deref()), (Split::Test, Some("g7")));
    assert_eq!(index.rows[1].label, None);
    assert_eq!(index.image(0, Depth::Eight).unwrap().as_u8(), [1; 4]);
    assert_eq!(index.classes(), ["cat"]);
    let by_table = Index::open(&folder.path().join("labels.csv")).unwrap();
    assert_eq!(by_table.sha256(), index.sha256());
}

#[test]
fn the_hash_of_a_set_moves_with_its_labels() {
    let one = folder("file,label\na.png,x\n", &["a.png"]);
    let other = folder("file,label\na.png,y\n", &["a.png"]);
    let hash = |folder: &tempfile::TempDir| Index::open(folder.path()).unwrap().sha256();
    assert_ne!(hash(&one), hash(&other));
    assert_eq!(hash(&one).len(), 64);
}

#[test]
fn zip_files_of_either_layout_and_beside_a_table_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: Vec<u8>| fs::write(folder.path().join(name), bytes).unwrap();
    let table = b"file,label\n0.png,dog\n".to_vec();
    write("with_table.zip", zip_of(&[("labels.csv", table.clone()), ("0.png", png(3))]));
    write("classes.zip", zip_of(&[("set/cat/1.png", png(4)), ("set/dog/2.png", png(5)), ("set/readme.txt", vec![])]));
    write("labels.csv", table);
    write("images.zip", zip_of(&[("0.png", png(6))]));
    let open = |name: &str| Index::open(&folder.path().join(name)).unwrap();
    assert_eq!(open("with_table.zip").image(0, Depth::Eight).unwrap().as_u8(), [3; 4]);
    assert_eq!(open("classes.zip").classes(), ["cat", "dog"]);
    assert_eq!(open("classes.zip").image(1, Depth::Eight).unwrap().as_u8(), [5; 4]);
    assert_eq!(open("").image(0, Depth::Eight).unwrap().as_u8(), [6; 4]);
}

#[test]
fn class_folders_give_labels_and_split_folders_splits() {
    let plain = folder("", &["dog/1.png", "cat/2.png"]);
    fs::remove_file(plain.path().join("labels.csv")).unwrap();
    let index = Index::open(plain.path()).unwrap();
    assert_eq!(index.classes(), ["cat", "dog"]);
    let split = folder("", &["train/dog/1.png", "validation/cat/2.png", "test/cat/3.png"]);
    fs::remove_file(split.path().join("labels.csv")).unwrap();
    let index = Index::open(split.path()).unwrap();
    let found: Vec<_> = index.rows.iter().map(|row| (row.label.as_deref().unwrap(), row.split)).collect();
    assert_eq!(found, [("cat", Split::Test), ("dog", Split::Train), ("cat", Split::Val)]);
}

#[test]
fn a_patient_without_a_split_gets_one_for_all_pictures() {
    let names: Vec<String> = (0..400).map(|number| format!("{number}.png")).collect();
    let lines: String = names.iter().enumerate().map(|(at, name)| format!("{name},x,p{}\n", at % 200)).collect();
    let files: Vec<&str> = names.iter().map(String::as_str).collect();
    let folder = folder(&format!("file,label,patient\n{lines}"), &files);
    let rows = Index::open(folder.path()).unwrap().rows;
    assert!((0..200).all(|patient| rows[patient].split == rows[patient + 200].split));
    let share = |split| rows.iter().filter(|row| row.split == split).count() as f64 / 400.0;
    assert!((0.6..0.8).contains(&share(Split::Train)), "{}", share(Split::Train));
    assert!((0.1..0.3).contains(&share(Split::Test)), "{}", share(Split::Test));
}

#[test]
fn what_is_wrong_is_said_with_its_row() {
    let message = |table: &str, files: &[&str]| Index::open(folder(table, files).path()).unwrap_err().to_string();
    assert_eq!(
        message("file,class\na.png,x\n", &["a.png"]),
        "the table of labels has no column label (or label_name); its columns are: file, class"
    );
    assert_eq!(
        message("file,label,split\na.png,x,train\na.png,x,dev\n", &["a.png"]),
        "row 2 has the split \"dev\"; expected train, val, test or nothing"
    );
    assert_eq!(message("file,label\nb.png,x\n", &["a.png"]), "row 1 names a file that does not exist in the folder");
    for outside in ["../a.png", "/etc/passwd", "x/../../a.png", "..\\a.png"] {
        let found = message(&format!("file,label\n{outside},x\n"), &["a.png"]);
        assert!(found.starts_with("row 1 names a file outside the set"), "{outside}: {found}");
    }
    assert!(message("file,label\n", &[]).starts_with("no images found"));
    assert!(Index::open(tempfile::tempdir().unwrap().path()).unwrap_err().to_string().starts_with("no images found"));
}

#[test]
fn a_file_missing_in_a_zip_is_named_by_its_row() {
    let folder = folder("file,label\na.png,x\nb.png,y\n", &[]);
    fs::write(folder.path().join("images.zip"), zip_of(&[("a.png", png(0))])).unwrap();
    let error = Index::open(folder.path()).unwrap_err();
    assert_eq!(error.to_string(), "row 2 names a file that does not exist in the zip file");
}
