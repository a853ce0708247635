//! The dependency rules of ARCHITECTURE.md, checked on the source text of `src/`.
//!
//! A *module* is a folder or file directly below `src/`. Test code is left out.
//!
//! A file depends on the files that **define** the items that it names: a path is followed through
//! re-exports and through the imports of parent modules. So `use super::Row` is a dependency on the
//! file that defines `Row`, and a `mod.rs` that only declares and re-exports its children doesn't
//! depend on them. The code calls a dependency an *arrow*.

#![allow(clippy::unwrap_used)] // a test that can't continue panics
#![allow(clippy::disallowed_methods)] // and writes its files as it likes

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The modules that each module may use. Add a new dependency deliberately, and only on a module
/// that ARCHITECTURE.md lists below. `crash` (named points for the tests) may be used by all of them.
const ALLOWED: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "advice",
            "audit",
            "backfill",
            "bundle",
            "calendar",
            "causes",
            "compare",
            "documents",
            "export",
            "gaps",
            "inject",
            "model",
            "page",
            "provider",
            "push",
            "report",
            "secret",
            "serve",
            "simulator",
            "status",
            "store",
            "sync",
        ],
    ),
    (
        "serve",
        &[
            "advice",
            "calendar",
            "documents",
            "model",
            "page",
            "report",
            "store",
        ],
    ),
    (
        "page",
        &[
            "audit",
            "calendar",
            "compare",
            "documents",
            "export",
            "gaps",
            "model",
            "report",
            "status",
            "store",
        ],
    ),
    (
        "documents",
        &["audit", "compare", "gaps", "model", "status", "store"],
    ),
    (
        "compare",
        &["calendar", "export", "model", "report", "store"],
    ),
    ("audit", &["calendar", "model", "store"]),
    ("status", &["calendar", "gaps", "model", "store"]),
    (
        "gaps",
        &["backfill", "calendar", "model", "report", "store"],
    ),
    (
        "backfill",
        &[
            "advice", "calendar", "causes", "export", "model", "provider", "report", "store",
        ],
    ),
    (
        "inject",
        &["advice", "calendar", "export", "model", "report", "store"],
    ),
    (
        "sync",
        &[
            "advice", "calendar", "causes", "model", "report", "secret", "store",
        ],
    ),
    (
        "push",
        &["advice", "causes", "model", "report", "secret", "store"],
    ),
    ("export", &["calendar", "model", "report", "store"]),
    (
        "bundle",
        &["advice", "calendar", "model", "report", "store"],
    ),
    ("report", &["advice", "model"]),
    ("store", &["advice", "calendar", "model"]),
    (
        "provider",
        &["advice", "causes", "model", "secret", "simulator"],
    ),
    ("simulator", &["calendar", "model"]),
    ("calendar", &["model"]),
    ("advice", &["model"]),
    ("secret", &[]),
    ("causes", &[]),
    ("model", &[]),
];

/// Circles of files that are still to be removed. A circle that isn't listed fails, and so does an
/// entry whose circle is gone.
const KNOWN_CIRCLES: &[&[&str]] = &[];

/// What the source text of one file says.
#[derive(Default)]
struct File {
    path: PathBuf,
    /// Where the file is in the tree of modules: `["store", "lake"]`.
    module: Vec<String>,
    /// Names that `use` brings in, with the whole path of each.
    imports: BTreeMap<String, Vec<String>>,
    /// Modules below this one, in files of their own or not.
    children: BTreeSet<String>,
    /// Paths in the code and in imports that aren't re-exports of children.
    uses: Vec<Vec<String>>,
}

/// All files of the crate that aren't tests, by module path.
struct Crate(BTreeMap<Vec<String>, File>);

impl Crate {
    fn read(root: &Path) -> Self {
        let mut files = BTreeMap::new();
        let mut left = vec![(Vec::new(), root.join("lib.rs"), root.to_owned())];
        while let Some((module, path, folder)) = left.pop() {
            let text = fs::read_to_string(&path).unwrap();
            let tokens: TokenStream = text
                .parse()
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let mut file = File {
                path,
                module: module.clone(),
                ..File::default()
            };
            let mut declared = Vec::new();
            collect(tokens, &module, &mut file, &mut declared);
            for name in declared {
                let child = [module.as_slice(), std::slice::from_ref(&name)].concat();
                let below = folder.join(&name);
                let flat = folder.join(format!("{name}.rs"));
                let path = if flat.exists() {
                    flat
                } else {
                    below.join("mod.rs")
                };
                left.push((child, path, below));
            }
            files.insert(module, file);
        }
        Self(files)
    }

    /// The file that defines what an absolute path names.
    fn definition(&self, path: &[String]) -> &File {
        let mut path = path.to_vec();
        // Far more than any chain of re-exports has.
        for _ in 0..32 {
            let mut file = &self.0[&Vec::new()];
            let mut at = 0;
            while at < path.len() && file.children.contains(&path[at]) {
                let Some(child) = self.0.get(&path[..=at]) else {
                    return file;
                };
                file = child;
                at += 1;
            }
            match path.get(at).and_then(|name| file.imports.get(name)) {
                Some(target) => path = [target.as_slice(), &path[at + 1..]].concat(),
                None => return file,
            }
        }
        panic!("{path:?} is re-exported in a circle");
    }

    /// The arrows between files: whose module path uses whose.
    fn arrows(&self) -> BTreeMap<&File, BTreeSet<&File>> {
        self.0
            .values()
            .map(|file| {
                let targets = file.uses.iter().map(|path| self.definition(path));
                let others = targets.filter(|target| target.module != file.module);
                (file, others.collect())
            })
            .collect()
    }
}

impl File {
    /// The module directly below `src/`; none for `lib.rs`.
    fn top(&self) -> Option<&str> {
        self.module.first().map(String::as_str)
    }

    /// The path below `src/`.
    fn name(&self) -> String {
        let below = self.path.strip_prefix(source()).unwrap();
        below.to_string_lossy().replace('\\', "/")
    }
}

impl PartialEq for File {
    fn eq(&self, other: &Self) -> bool {
        self.module == other.module
    }
}

impl Eq for File {}

impl PartialOrd for File {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for File {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.module.cmp(&other.module)
    }
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Collects what the tokens of a file or of a group in it say. `declared` gets the names of
/// modules in files of their own.
fn collect(tokens: TokenStream, module: &[String], file: &mut File, declared: &mut Vec<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    let mut public = false;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                if is_test_attribute(tokens.get(at + 1)) {
                    at = after_item(&tokens, at + 2);
                    continue;
                }
                at += 1;
            }
            TokenTree::Ident(word) if word == "pub" => {
                public = true;
                at += 1;
                // The path in `pub(in path)` isn't a use of it.
                if matches!(tokens.get(at), Some(TokenTree::Group(_))) {
                    at += 1;
                }
                continue;
            }
            TokenTree::Ident(word) if word == "use" => {
                let end = (at..tokens.len())
                    .find(|end| is_punct(tokens.get(*end), ';'))
                    .unwrap_or(tokens.len());
                let mut found = Vec::new();
                use_tree(&tokens[at + 1..end], &[], &mut found);
                for (path, name) in found {
                    let Some(path) = absolute(&path, module, file) else {
                        continue;
                    };
                    assert_ne!(
                        name,
                        "*",
                        "{}: outside tests, name what is imported",
                        file.path.display()
                    );
                    let is_re_export = public && path.starts_with(module);
                    if !is_re_export {
                        file.uses.push(path.clone());
                    }
                    file.imports.insert(name, path);
                }
                at = end;
            }
            TokenTree::Ident(word) if word == "mod" => {
                if let Some(TokenTree::Ident(name)) = tokens.get(at + 1) {
                    file.children.insert(name.to_string());
                    if is_punct(tokens.get(at + 2), ';') {
                        declared.push(name.to_string());
                    } else if let Some(TokenTree::Group(body)) = tokens.get(at + 2) {
                        // Its `super` is this file's module.
                        let inner = [module, &[name.to_string()]].concat();
                        collect(body.stream(), &inner, file, declared);
                    }
                }
                at += 2;
            }
            TokenTree::Ident(_) => {
                let mut path = Vec::new();
                while let Some(TokenTree::Ident(segment)) = tokens.get(at) {
                    path.push(segment.to_string());
                    at += 1;
                    if is_path_separator(&tokens, at)
                        && matches!(tokens.get(at + 2), Some(TokenTree::Ident(_)))
                    {
                        at += 2;
                    } else {
                        break;
                    }
                }
                if path.len() > 1
                    && let Some(path) = absolute(&path, module, file)
                {
                    file.uses.push(path);
                }
                public = false;
                continue;
            }
            TokenTree::Group(group) => collect(group.stream(), module, file, declared),
            _ => {}
        }
        public = false;
        at += 1;
    }
}

fn is_punct(token: Option<&TokenTree>, c: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == c)
}

fn is_path_separator(tokens: &[TokenTree], at: usize) -> bool {
    is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':')
}

/// `[cfg(test)]` or `[cfg(all(test, …))]`.
fn is_test_attribute(token: Option<&TokenTree>) -> bool {
    let Some(TokenTree::Group(group)) = token else {
        return false;
    };
    let text = group.stream().to_string().replace(' ', "");
    text == "cfg(test)" || text.starts_with("cfg(all(test,")
}

/// The index after the item that begins at `at`: it ends with a semicolon, a body or, for a field
/// or a match arm, a comma.
fn after_item(tokens: &[TokenTree], mut at: usize) -> usize {
    let mut angles = 0;
    let mut is_use = false;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Ident(word) if word == "use" => is_use = true,
            TokenTree::Punct(punct) => match punct.as_char() {
                '<' => angles += 1,
                '>' => angles -= 1,
                ';' => return at + 1,
                ',' if angles <= 0 => return at + 1,
                _ => {}
            },
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace && !is_use => {
                return at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    at
}

/// The paths of a `use`, each with the name that it brings in.
fn use_tree(tokens: &[TokenTree], prefix: &[String], found: &mut Vec<(Vec<String>, String)>) {
    let mut at = 0;
    while at < tokens.len() {
        let mut path = prefix.to_vec();
        let mut name = None;
        while at < tokens.len() && !is_punct(tokens.get(at), ',') {
            match &tokens[at] {
                TokenTree::Ident(word) if word == "as" => {
                    at += 1;
                    name = tokens.get(at).map(ToString::to_string);
                }
                TokenTree::Ident(word) => path.push(word.to_string()),
                TokenTree::Group(group) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    use_tree(&inner, &path, found);
                    path.clear();
                }
                TokenTree::Punct(punct) if punct.as_char() == '*' => path.push("*".to_owned()),
                _ => {}
            }
            at += 1;
        }
        at += 1;
        // `use a::{self}` brings in `a`.
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        if let Some(last) = path.last() {
            let name = name.unwrap_or_else(|| last.clone());
            found.push((path, name));
        }
    }
}

/// A path from the root of the crate; none if it leads out of the crate.
fn absolute(path: &[String], module: &[String], file: &File) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some([module, rest].concat()),
        "super" => {
            let mut base = &module[..module.len() - 1];
            let mut rest = rest;
            while let Some((first, more)) = rest.split_first()
                && first == "super"
            {
                base = &base[..base.len() - 1];
                rest = more;
            }
            Some([base, rest].concat())
        }
        // A child, declared before it is used.
        _ if module == file.module && file.children.contains(first) => {
            Some([module, path].concat())
        }
        _ => None,
    }
}

/// The groups of nodes that reach each other, of two and more.
fn circles<T: Ord + Copy>(arrows: &BTreeMap<T, BTreeSet<T>>) -> Vec<BTreeSet<T>> {
    let reached = |from: T| {
        let mut seen = BTreeSet::new();
        let mut left = vec![from];
        while let Some(node) = left.pop() {
            for next in arrows.get(&node).into_iter().flatten() {
                if seen.insert(*next) {
                    left.push(*next);
                }
            }
        }
        seen
    };
    let all: BTreeMap<T, BTreeSet<T>> = arrows.keys().map(|node| (*node, reached(*node))).collect();
    let groups: BTreeSet<BTreeSet<T>> = all
        .iter()
        .filter(|(node, reached)| reached.contains(node))
        .map(|(node, reached)| {
            let back = |other: &&T| all.get(other).is_some_and(|from| from.contains(node));
            reached.iter().filter(back).copied().collect()
        })
        .collect();
    groups.into_iter().collect()
}

/// The arrows between modules, each with one file that makes it.
fn module_arrows(parsed: &Crate) -> BTreeMap<(&str, &str), String> {
    let mut found = BTreeMap::new();
    for (file, targets) in parsed.arrows() {
        for target in targets {
            if let (Some(from), Some(to)) = (file.top(), target.top())
                && from != to
                && to != "crash"
            {
                found.insert((from, to), file.name());
            }
        }
    }
    found
}

#[test]
fn modules_use_only_what_the_table_allows() {
    let parsed = Crate::read(&source());
    let found = module_arrows(&parsed);
    let allowed: BTreeSet<(&str, &str)> = ALLOWED
        .iter()
        .flat_map(|(from, targets)| targets.iter().map(|to| (*from, *to)))
        .collect();
    let unknown: Vec<String> = found
        .iter()
        .filter(|(arrow, _)| !allowed.contains(*arrow))
        .map(|((from, to), file)| format!("{from} must not use {to}, but src/{file} does"))
        .collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    let unused: Vec<_> = allowed
        .iter()
        .filter(|arrow| !found.contains_key(*arrow))
        .collect();
    assert!(
        unused.is_empty(),
        "no longer needed, delete them from ALLOWED: {unused:?}"
    );
}

/// The order also rules out circles between modules.
#[test]
fn arrows_point_down_the_list_of_modules_in_the_architecture() {
    let text = fs::read_to_string(source().join("../ARCHITECTURE.md")).unwrap();
    let order: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `src/")?.split_once('`'))
        .map(|(name, _)| name.trim_end_matches('/').trim_end_matches(".rs"))
        .collect();
    let level = |module: &str| {
        let found = order.iter().position(|name| *name == module);
        found.unwrap_or_else(|| panic!("ARCHITECTURE.md doesn't list src/{module}"))
    };
    for (from, targets) in ALLOWED {
        for to in *targets {
            assert!(level(from) < level(to), "{from} is listed below {to}");
        }
    }
}

#[test]
fn files_of_a_module_have_no_circles() {
    let parsed = Crate::read(&source());
    let mut inside = parsed.arrows();
    for (file, targets) in &mut inside {
        targets.retain(|target| target.top() == file.top());
    }
    let known: Vec<BTreeSet<String>> = KNOWN_CIRCLES
        .iter()
        .map(|files| files.iter().map(|&file| file.to_owned()).collect())
        .collect();
    let found: Vec<BTreeSet<String>> = circles(&inside)
        .iter()
        .map(|circle| circle.iter().map(|file| file.name()).collect())
        .collect();
    let unknown: Vec<String> = found
        .iter()
        .filter(|circle| !known.iter().any(|known| circle.is_subset(known)))
        .map(|circle| describe(circle, &inside))
        .collect();
    assert!(
        unknown.is_empty(),
        "circles of files:\n{}",
        unknown.join("\n")
    );
    let gone: Vec<_> = known
        .iter()
        .filter(|known| !found.iter().any(|circle| circle.is_subset(known)))
        .collect();
    assert!(
        gone.is_empty(),
        "removed already, delete them from KNOWN_CIRCLES: {gone:#?}"
    );
}

/// The files of a circle, and the arrows between them.
fn describe(circle: &BTreeSet<String>, arrows: &BTreeMap<&File, BTreeSet<&File>>) -> String {
    let mut text = format!("{circle:?}\n");
    for (file, targets) in arrows {
        for target in targets {
            if circle.contains(&file.name()) && circle.contains(&target.name()) {
                text += &format!("    {} uses {}\n", file.name(), target.name());
            }
        }
    }
    text
}

#[test]
fn paths_are_followed_to_their_definitions() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("lib.rs", "mod a; mod b; #[cfg(test)] mod tests;");
    write(
        "a/mod.rs",
        "mod x; mod y; pub mod z; pub use x::X; use crate::b::B;
         #[cfg(test)] use z::{Only, Tests}; pub(in crate::b) fn f() {}",
    );
    write("a/x.rs", "use super::B; use super::y::{self, Y as Other};");
    write("a/y.rs", "fn f(x: super::X) {} // crate::b::comment");
    write("a/z.rs", "fn f() { let s = \"crate::b::text\"; }");
    write(
        "b.rs",
        "fn f() { crate::a::X::new() } mod inner { use super::super::a::z::Z; }",
    );
    let parsed = Crate::read(folder.path());
    let name = |file: &File| file.module.join("/");
    let arrows: BTreeMap<String, Vec<String>> = parsed
        .arrows()
        .into_iter()
        .map(|(file, targets)| (name(file), targets.into_iter().map(name).collect()))
        .collect();
    let expected = [
        ("", vec![]),
        ("a", vec!["b"]),
        ("a/x", vec!["a/y", "b"]),
        ("a/y", vec!["a/x"]),
        ("a/z", vec![]),
        ("b", vec!["a/x", "a/z"]),
    ];
    for (from, targets) in expected {
        assert_eq!(arrows[from], targets, "{from}");
    }
    let found = circles(&parsed.arrows());
    assert_eq!(found.len(), 1);
    let names: Vec<String> = found[0].iter().map(|file| name(file)).collect();
    assert_eq!(names, ["a/x", "a/y", "b"], "`a` only re-exports");
}

/// The Rust files below a folder.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
    files
}

/// The files below a folder that no other file declares as a module. `lib.rs` and `main.rs` aren't modules.
fn undeclared(root: &Path) -> Vec<PathBuf> {
    let is_root = |path: &PathBuf| {
        ["lib.rs", "main.rs"]
            .iter()
            .any(|name| *path == root.join(name))
    };
    let declares = |path: &Path, module: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let declaration = format!("mod {module};");
        text.lines()
            .filter_map(|line| line.trim().strip_suffix(&declaration))
            .any(|before| before.is_empty() || before.starts_with("pub"))
    };
    let mut files = rust_files(root);
    files.retain(|path| {
        let module = match path.file_stem().unwrap().to_str().unwrap() {
            "mod" => path.parent().unwrap().to_owned(),
            _ => path.with_extension(""),
        };
        let folder = module.parent().unwrap();
        let parents = [
            folder.join("mod.rs"),
            folder.join("lib.rs"),
            folder.join("main.rs"),
            folder.with_extension("rs"),
        ];
        let name = module.file_name().unwrap().to_str().unwrap();
        !is_root(path) && !parents.iter().any(|parent| declares(parent, name))
    });
    files.sort();
    files
}

/// The compiler silently leaves out a file without a `mod` line.
#[test]
fn each_file_is_declared_as_a_module() {
    let tests = source().join("../tests/it");
    for folder in [source(), tests] {
        let left_out = undeclared(&folder);
        assert!(left_out.is_empty(), "no `mod` line names {left_out:#?}");
    }
}

#[test]
fn files_that_are_not_declared_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("main.rs", "mod a;\npub(crate) mod b;\n// mod c;\n");
    write("a.rs", "#[cfg(test)]\nmod tests;\n");
    write("a/tests.rs", "");
    write("a/more.rs", "");
    write("b/mod.rs", "mod main;");
    write("b/main.rs", "");
    write("c.rs", "");
    write("d/mod.rs", "");
    let found = undeclared(folder.path());
    let found: Vec<&Path> = (found.iter())
        .map(|path| path.strip_prefix(folder.path()).unwrap())
        .collect();
    let expected = ["a/more.rs", "c.rs", "d/mod.rs"];
    assert_eq!(found, expected.map(Path::new));
}

/// Files and folders that only exist after a command ran, or that belong to another program.
const NOT_IN_THE_REPOSITORY: &[&str] = &[
    "data/staging",
    "data/demo",
    "bench/work",
    "vendor/",
    "target/",
];

/// The paths that a document names: targets of links, and words in backticks that look like paths
/// of this repository.
fn named_paths(text: &str) -> Vec<String> {
    let links = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.split('#').next().unwrap_or_default())
        .filter(|target| !target.is_empty() && !target.contains("://"));
    let folders = [
        "src/", "tests/", "docs/", "bench/", "benches/", "scripts/", "data/", "fuzz/", "build/",
    ];
    let quoted = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| folders.iter().any(|folder| word.starts_with(folder)))
        .filter(|word| !word.contains(['*', ' ', '<', 'X']));
    let all = links.map(str::to_owned).chain(quoted.flat_map(braces));
    all.filter(|path| {
        !NOT_IN_THE_REPOSITORY
            .iter()
            .any(|prefix| path.starts_with(prefix))
    })
    .collect()
}

/// `a/{b,c}.rs` as `a/b.rs` and `a/c.rs`.
fn braces(word: &str) -> Vec<String> {
    match word.split_once('{').and_then(|(before, rest)| {
        let (inside, after) = rest.split_once('}')?;
        Some((before, inside, after))
    }) {
        Some((before, inside, after)) => inside
            .split(',')
            .map(|part| format!("{before}{part}{after}"))
            .collect(),
        None => vec![word.to_owned()],
    }
}

#[test]
fn paths_in_the_documents_exist() {
    let root = source().join("..");
    let mut documents: Vec<PathBuf> = ["", "docs", "fuzz", "data/calendars", "data/sample"]
        .iter()
        .flat_map(|folder| fs::read_dir(root.join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "md"))
        .collect();
    documents.sort();
    let mut missing = Vec::new();
    for document in documents {
        // Fenced blocks have backticks of their own.
        let text = fs::read_to_string(&document).unwrap().replace("```", "");
        for path in named_paths(&text) {
            let relative = document.parent().unwrap().join(&path);
            if !relative.exists() && !root.join(&path).exists() {
                missing.push(format!("{} names {path}", document.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
