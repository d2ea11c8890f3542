//! The inputs that are damaged: a target's seeds, the inputs that once broke something (`regressions/`, committed), and
//! those that reached something new in earlier runs on this machine (`corpus/`, not committed).

use std::fs;
use std::path::PathBuf;

use crate::Target;
use crate::mutate::Rng;

/// Inputs that are kept are not longer: long ones are slow, and rarely say more.
const KEPT_BYTES_MAX: usize = 64 * 1024;
/// Inputs of one target that are kept at most.
const KEPT_MAX: usize = 20_000;

/// The inputs of one target.
pub struct Corpus {
    folder: PathBuf,
    inputs: Vec<Vec<u8>>,
}

impl Corpus {
    /// Seeds, regressions, and what earlier runs kept, the shortest first.
    #[must_use]
    pub fn load(target: &Target) -> (Corpus, Vec<Vec<u8>>) {
        let folder = home().join("corpus").join(target.name);
        let mut kept: Vec<Vec<u8>> = files(&folder);
        kept.sort_by_key(Vec::len);
        let mut inputs = (target.seeds)();
        inputs.extend(regressions(target));
        (Corpus { folder, inputs }, kept)
    }

    /// All inputs.
    #[must_use]
    pub fn inputs(&self) -> &[Vec<u8>] {
        &self.inputs
    }

    /// One of them: a new one as often as any of the others.
    pub fn pick(&self, rng: &mut Rng) -> &[u8] {
        let count = self.inputs.len();
        let newest = if rng.below(2) == 0 { count } else { count.div_ceil(8) };
        &self.inputs[count - 1 - rng.below(newest)]
    }

    /// Takes an input in, in memory only.
    pub fn add(&mut self, input: &[u8]) {
        if input.len() <= KEPT_BYTES_MAX && self.inputs.len() < KEPT_MAX {
            self.inputs.push(input.to_vec());
        }
    }

    /// Takes an input in, for later runs too. A disk that takes none costs only those.
    pub fn keep(&mut self, input: &[u8]) {
        let before = self.inputs.len();
        self.add(input);
        if self.inputs.len() > before && fs::create_dir_all(&self.folder).is_ok() {
            let _ = fs::write(self.folder.join(name_of(input)), input);
        }
    }
}

/// Inputs that once broke something.
#[must_use]
pub fn regressions(target: &Target) -> Vec<Vec<u8>> {
    files(&home().join("regressions").join(target.name))
}

/// Writes a failing input where it can be run again, and says where.
#[must_use]
pub fn keep_failed(target: &Target, input: &[u8]) -> String {
    let folder = home().join("artifacts");
    let path = folder.join(format!("{}-{}", target.name, name_of(input)));
    match fs::create_dir_all(&folder).and_then(|()| fs::write(&path, input)) {
        Ok(()) => format!("the input is in {}", path.display()),
        Err(error) => format!("the input could not be kept: {error}"),
    }
}

fn name_of(input: &[u8]) -> String {
    format!("{:08x}-{}", protocol::crc::crc32c(input), input.len())
}

fn home() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a folder, by name; none where there is no folder.
fn files(folder: &PathBuf) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().filter_map(|path| fs::read(path).ok()).collect()
}
