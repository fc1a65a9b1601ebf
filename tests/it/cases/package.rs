//! The Debian package: built, installed, started, upgraded, removed and purged, in a root of its own
//! (`dpkg --root`), so that this machine stays as it is.

mod booted;

use crate::{
    child::{Tidegate, binary},
    client::Request,
    gate::CHUNK,
    model::{Expected, Object},
    origin::{Origin, Script},
};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Runs a command to its end; what it says is for who looks into a failure.
fn run(command: &mut Command) -> String {
    let output = command.output().expect("the command is there");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}:\n{said}{wrong}");
    said
}

/// Makes a package of a program, in a folder.
fn build(program: &Path, version: &str, folder: &Path) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("package/deb");
    let mut build = Command::new(script);
    build.arg("--binary").arg(program);
    build.args(["--version", version, "--compression", "none", "--output"]);
    run(build.arg(folder));
    let found = std::fs::read_dir(folder).unwrap().flatten();
    let start = format!("tidegate_{version}_");
    let mut packages = found.filter(|f| f.file_name().to_string_lossy().starts_with(&start));
    packages.next().expect("a package is made").path()
}

/// Who builds elsewhere says so to the package's script as well.
#[test]
fn the_program_is_where_cargo_puts_it() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("package/deb");
    let nowhere = tempfile::tempdir().unwrap();
    let output = Command::new(script)
        .env("CARGO_TARGET_DIR", nowhere.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let program = nowhere.path().join("release/tidegate");
    assert!(said.contains(program.to_str().unwrap()), "{said}");
}

struct Root {
    directory: tempfile::TempDir,
}

impl Root {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let dpkg = directory.path().join("root/var/lib/dpkg");
        for folder in ["info", "updates", "triggers"] {
            std::fs::create_dir_all(dpkg.join(folder)).unwrap();
        }
        std::fs::write(dpkg.join("status"), "").unwrap();
        Self { directory }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join("root").join(path)
    }

    fn build(&self, version: &str) -> PathBuf {
        build(&binary(), version, self.directory.path())
    }

    fn dpkg(&self, arguments: &[&str]) {
        let mut dpkg = Command::new("dpkg");
        dpkg.arg(format!("--root={}", self.path("").display()))
            .arg(format!(
                "--log={}",
                self.directory.path().join("log").display()
            ))
            .args(["--force-script-chrootless", "--force-not-root"])
            // There is nothing else in this root.
            .args(["--force-depends", "--force-bad-path"])
            .args(arguments);
        run(&mut dpkg);
    }

    fn has(&self, path: &str) -> bool {
        self.path(path).exists()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_installed_started_upgraded_removed_and_purged() {
    let root = Root::new();
    let package = root.build("0.1.0");
    root.dpkg(&["--install", package.to_str().unwrap()]);
    for file in [
        "usr/bin/tidegate",
        "etc/tidegate/tidegate.yaml",
        "lib/systemd/system/tidegate.service",
        "lib/systemd/system/tidegate.socket",
        "usr/share/man/man1/tidegate.1.gz",
        "usr/share/man/man1/tidegate-run.1.gz",
        "usr/share/bash-completion/completions/tidegate",
        "usr/share/zsh/vendor-completions/_tidegate",
        "usr/share/fish/vendor_completions.d/tidegate.fish",
        "usr/share/doc/tidegate/changelog.gz",
        "usr/share/doc/tidegate/copyright",
        "usr/share/doc/tidegate/examples/s3-bucket.yaml",
    ] {
        assert!(root.has(file), "{file} is not installed");
    }
    // What is installed is as it was packed, and pages say what the arguments don't.
    root.dpkg(&["--verify", "tidegate"]);
    let listed = root.path("var/lib/dpkg/info/tidegate.md5sums");
    let listed = std::fs::read_to_string(listed).unwrap();
    assert!(listed.contains("  usr/bin/tidegate\n") && !listed.contains("etc/"));
    let recommended = run(Command::new("dpkg-deb")
        .arg("--field")
        .arg(&package)
        .arg("Recommends"));
    assert_eq!(recommended, "ca-certificates\n");
    let unpacked = |file| run(Command::new("gzip").arg("-dc").arg(root.path(file)));
    let page = unpacked("usr/share/man/man1/tidegate-run.1.gz");
    for section in ["SIGNALS", "EXIT STATUS", "ENVIRONMENT", "FILES", "SEE ALSO"] {
        assert!(page.contains(&format!(".SH {section}\n")), "{section}");
    }
    // Whose program it is linked with, and on which terms: some ask for nothing more than that.
    let notices = unpacked("usr/share/doc/tidegate/notices.gz");
    for part in [
        "\n  pingora-proxy 0.9.1: Apache-2.0\n",
        "\n  tokio 1.",
        "\nPermission is hereby granted, free of charge,",
    ] {
        assert!(notices.contains(part), "{part}");
    }
    let unit = std::fs::read_to_string(root.path("lib/systemd/system/tidegate.service"));
    let start = "ExecStart=/usr/bin/tidegate run --config /etc/tidegate/tidegate.yaml\n";
    assert!(unit.unwrap().contains(start));

    // What its administrator does.
    let script = Script::new(910, 4 * CHUNK);
    let film = Object::from(&script);
    let origin = Origin::with(script).await;
    let config = root.path("etc/tidegate/tidegate.yaml");
    let cache = root.path("var/cache/tidegate");
    std::fs::create_dir_all(&cache).unwrap();
    let text = std::fs::read_to_string(&config).unwrap();
    let own = text
        .replace("address: 127.0.0.1:8080", "address: 127.0.0.1:0")
        .replace("address: 127.0.0.1:9090", "address: 127.0.0.1:0")
        .replace(
            "http://127.0.0.1:8000",
            &format!("http://{}", origin.address()),
        )
        .replace("/var/cache/tidegate", cache.to_str().unwrap());
    std::fs::write(&config, &own).unwrap();

    let mut tidegate = Tidegate::run(&root.path("usr/bin/tidegate"), &config).await;
    let first = tidegate.ask(Request::get("/film")).await;
    film.verify(&Expected::Whole, &first).unwrap();
    origin.settled().await;

    let package = root.build("0.1.1");
    root.dpkg(&["--install", package.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(&config).unwrap(), own);
    tidegate.upgrade().await;
    tidegate.first_ended().await;
    let hit = tidegate.ask(Request::get("/film")).await;
    film.verify(&Expected::Whole, &hit).unwrap();
    assert!(hit.head.cache_status().is_hit(), "{hit}");
    tidegate.signal(tidegate.current(), "TERM");
    tidegate.said("stopped", 2).await;

    root.dpkg(&["--remove", "tidegate"]);
    assert!(!root.has("usr/bin/tidegate") && config.exists() && cache.exists());
    root.dpkg(&["--purge", "tidegate"]);
    let all = [
        "etc/tidegate",
        "etc/logrotate.d/tidegate",
        "usr",
        "lib/systemd",
        "var/cache/tidegate",
    ];
    let left: Vec<_> = all.into_iter().filter(|path| root.has(path)).collect();
    assert_eq!(left, [""; 0]);
}
