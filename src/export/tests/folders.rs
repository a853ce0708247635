//! What an export replaces, removes and keeps.

use super::*;

#[test]
fn a_folder_keeps_what_no_export_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_path_buf();
    let keep = [
        "notes.txt",
        "ticker=A/mine.parquet",
        "ticker=X/bars.txt",
        "sub/bars.csv",
    ];
    for name in keep {
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        fs::write(root.join(name), "mine").unwrap();
    }
    // A file named like a partition of a lake isn't one of an export.
    let lake = root.join("ticker=L/year=2020/bars.parquet");
    fs::create_dir_all(lake.parent().unwrap()).unwrap();
    let writer = BarsWriter::create(
        &Guard::default().file(&lake).unwrap(),
        crate::model::OnConflict::Fail,
    )
    .unwrap();
    writer
        .add(
            &Ticker::new("L").unwrap(),
            minutes("2020-01-02T14:30:00Z", 3),
        )
        .unwrap();
    writer.finish().unwrap();
    let mut expected: Vec<String> = keep.iter().map(ToString::to_string).collect();
    expected.push("ticker=L/year=2020/bars.parquet".into());

    let target = || Target::Folder(folder_at(&root));
    // Each format replaces the files of the one before, the first also those of the last.
    for &format in Format::ALL.iter().chain(&Format::ALL[..1]) {
        for (partition_by, written) in [
            (
                PartitionBy::TickerYear,
                vec![
                    "ticker=007/year=2025/bars",
                    "ticker=A/year=2025/bars",
                    "ticker=BTC%2FUSD/year=2024/bars",
                    "ticker=BTC%2FUSD/year=2025/bars",
                ],
            ),
            (PartitionBy::Year, vec!["year=2024/bars", "year=2025/bars"]),
            (PartitionBy::None, vec!["bars"]),
        ] {
            run(&two_years(), format, partition_by, target(), None).unwrap();
            let mut now: Vec<String> = written
                .iter()
                .map(|name| format!("{name}.{format}"))
                .collect();
            now.extend(expected.clone());
            now.sort();
            assert_eq!(files(&root), now);
        }
    }
    assert!(!root.join("ticker=007").exists(), "empty folders go too");
    assert_eq!(fs::read_to_string(root.join("notes.txt")).unwrap(), "mine");
}

#[test]
fn a_file_that_no_export_wrote_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bars.csv");
    fs::write(&path, "ticker;time\n").unwrap();
    let target = Target::Folder(folder_at(folder.path()));
    let error = run(&two_years(), Format::Csv, PartitionBy::None, target, None).unwrap_err();
    assert!(matches!(error, Error::Foreign { path: named } if named == path));
    assert_eq!(fs::read_to_string(&path).unwrap(), "ticker;time\n");
}

#[test]
fn an_error_half_way_leaves_all_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("out");
    let mut source = two_years();
    let target = || Target::Folder(folder_at(&root));
    run(&source, Format::Csv, PartitionBy::Ticker, target(), None).unwrap();
    let before: Vec<(String, Vec<u8>)> = files(&root)
        .into_iter()
        .map(|file| (file.clone(), fs::read(root.join(file)).unwrap()))
        .collect();
    source.breaks = Some(Ticker::new("BTC/USD").unwrap());
    let error = run(
        &source,
        Format::Parquet,
        PartitionBy::Ticker,
        target(),
        None,
    )
    .unwrap_err();
    assert_eq!(error.to_string(), "BTC/USD 1m: damaged");
    let after: Vec<(String, Vec<u8>)> = files(&root)
        .into_iter()
        .map(|file| (file.clone(), fs::read(root.join(file)).unwrap()))
        .collect();
    assert!(before == after);
}

#[test]
fn a_folder_inside_another_export_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("out");
    let export_to = |path: &Path, partition_by| {
        let target = Target::Folder(folder_at(path));
        run(&two_years(), Format::Csv, partition_by, target, None)
    };
    for partition_by in [PartitionBy::Ticker, PartitionBy::Year, PartitionBy::None] {
        export_to(&root, partition_by).unwrap();
        let before = files(&root);
        for inside in [
            "ticker=A",
            "year=2024",
            "2024",
            "2024/deeper",
            "ticker=A/year=2025",
        ] {
            let refused = export_to(&root.join(inside), PartitionBy::None).unwrap_err();
            let Error::InsideExport { path, outer } = refused else {
                panic!("{inside}: {refused}");
            };
            assert_eq!(path, root.join(inside));
            assert!(outer.starts_with(&root));
        }
        assert_eq!(files(&root), before);
        // The export's own folder, and one next to it, are not inside it.
        export_to(&root, partition_by).unwrap();
        export_to(&folder.path().join("next"), partition_by).unwrap();
    }
    // A folder with the name of a hive folder can be exported to again.
    let alone = folder.path().join("alone/ticker=A");
    export_to(&alone, PartitionBy::None).unwrap();
    export_to(&alone, PartitionBy::None).unwrap();
}

#[test]
fn part_files_of_ended_processes_are_removed_and_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("out");
    let abandoned = root.join("ticker=Z/.bars.csv.1-0.part");
    fs::create_dir_all(abandoned.parent().unwrap()).unwrap();
    fs::write(&abandoned, "half").unwrap();
    let other = folder_at(&root).file(Path::new("bars.parquet")).unwrap();
    let written = AtomicFile::create(&other).unwrap();
    let part = written.path().unwrap().to_owned();
    let target = || Target::Folder(folder_at(&root));
    run(&two_years(), Format::Csv, PartitionBy::None, target(), None).unwrap();
    assert!(part.exists() && !abandoned.parent().unwrap().exists());
    // As after a kill: the file stays, and its lock is gone.
    let copy = part.with_file_name(".bars.parquet.2-0.part");
    fs::copy(&part, &copy).unwrap();
    written.publish().unwrap();
    run(&two_years(), Format::Csv, PartitionBy::None, target(), None).unwrap();
    assert!(!copy.exists());
}
