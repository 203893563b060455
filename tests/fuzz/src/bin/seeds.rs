//! Writes honest files into a folder for each target: `seeds FOLDER`.

use std::path::Path;

fn main() {
    let folder = std::env::args().nth(1).expect("usage: seeds FOLDER");
    write(&Path::new(&folder).join("plan"), remedis_fuzz::seeds::plans());
    write(&Path::new(&folder).join("onnx"), remedis_fuzz::seeds::onnx());
    write(&Path::new(&folder).join("bundle"), remedis_fuzz::seeds::bundles());
    write(&Path::new(&folder).join("picture"), remedis_fuzz::seeds::pictures().chain(remedis_fuzz::seeds::zips()));
    write(&Path::new(&folder).join("shard"), remedis_fuzz::seeds::shards());
    write(&Path::new(&folder).join("weights"), remedis_fuzz::seeds::weights());
    write(&Path::new(&folder).join("link"), remedis_fuzz::seeds::sessions());
    write(&Path::new(&folder).join("openmv"), remedis_fuzz::seeds::cameras());
    write(&Path::new(&folder).join("settings"), remedis_fuzz::seeds::settings());
}

fn write(folder: &Path, files: impl Iterator<Item = Vec<u8>>) {
    std::fs::create_dir_all(folder).unwrap();
    for (number, bytes) in files.enumerate() {
        std::fs::write(folder.join(number.to_string()), bytes).unwrap();
    }
}
