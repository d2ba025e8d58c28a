#!/usr/bin/env bats
# install.bats - make install puts every file in its place, uninstall takes it away again

setup() {
    root=$BATS_TEST_DIRNAME/..
    dest=$BATS_TEST_TMPDIR/dest
}

# The programs are there; -o keeps make from building them again with other flags.
make_() {
    make -s -C "$root" -o all BUILD="${BUILD:-build}" "$@"
}

@test "install and uninstall under PREFIX and DESTDIR" {
    make_ install DESTDIR="$dest" PREFIX=/opt/llm
    for main in "$root"/cmd/llm-*.c; do
        name=$(basename "$main" .c)
        "$dest/opt/llm/bin/$name" --version
        [ -s "$dest/opt/llm/share/man/man1/$name.1" ]
        [ -s "$dest/opt/llm/share/bash-completion/completions/$name" ]
    done
    [ -s "$dest/opt/llm/share/man/man5/llm-trace.5" ]
    cmp "$root/LICENSE" "$dest/opt/llm/share/doc/llmutils/LICENSE"
    [ ! -x "$dest/opt/llm/share/man/man5/llm-trace.5" ]

    make_ uninstall DESTDIR="$dest" PREFIX=/opt/llm
    [ -z "$(find "$dest" -type f)" ]
}

@test "single folders can be chosen" {
    make_ install DESTDIR="$dest" BINDIR=/b MANDIR=/m DATADIR=/d
    [ -x "$dest/b/llm-run" ]
    [ -s "$dest/m/man1/llm-run.1" ]
    [ -s "$dest/d/doc/llmutils/LICENSE" ]
    [ ! -e "$dest/usr" ]
}

@test "a folder with a blank in its name" {
    make_ install DESTDIR="$dest" PREFIX="/my programs"
    "$dest/my programs/bin/llm-run" --version
}
