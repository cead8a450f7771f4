// SPDX-License-Identifier: Apache-2.0

// Package rootfs writes the file systems of images that have nothing but a test
// binary and what it needs, as tar archives: equal files make equal archives,
// whoever writes them, and when.
//
// Package container makes images of them for actions, package image for the
// nodes of a cluster. It imports nothing of this project.
package rootfs

import (
	"archive/tar"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"
)

// epoch is the time of all files, so that equal images are equal.
var epoch = time.Unix(1, 0)

// Writer writes files, and the folders above them, until the first error.
type Writer struct {
	w    *tar.Writer
	made map[string]bool
	err  error
}

// New returns a writer of an archive.
func New(w io.Writer) *Writer {
	return &Writer{w: tar.NewWriter(w), made: make(map[string]bool)}
}

// folders are those that images of distributions have and rules are about.
const folders = "/etc /root /var /var/lib /var/log /home /usr /usr/bin /usr/sbin /usr/lib /usr/local/bin /bin /sbin /lib /opt /srv /run /dev /proc /sys"

// Folders writes those that programs expect. It is to be called first.
func (w *Writer) Folders() {
	w.Dir("/tmp", 0o1777)
	for dir := range strings.FieldsSeq(folders) {
		w.Dir(dir, 0o755)
	}
}

// Accounts writes the users and groups that images of distributions have.
func (w *Writer) Accounts() {
	passwd, group, shadow := accounts()
	w.Text("/etc/group", group)
	w.Text("/etc/passwd", passwd)
	w.file("/etc/shadow", strings.NewReader(shadow), int64(len(shadow)), 0o640)
}

// Dir writes a folder, unless it is there.
func (w *Writer) Dir(name string, mode int64) {
	if w.err != nil || w.made[name] || name == "/" {
		return
	}
	w.Dir(path.Dir(name), 0o755)
	w.made[name] = true
	if w.err == nil {
		w.err = w.w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name[1:] + "/", Mode: mode, ModTime: epoch})
	}
}

// Text writes a file that everybody may read.
func (w *Writer) Text(name, content string) {
	w.file(name, strings.NewReader(content), int64(len(content)), 0o644)
}

// Copy writes a copy of a file of this machine.
func (w *Writer) Copy(from, to string, mode int64) {
	if w.err != nil {
		return
	}
	f, err := os.Open(from)
	if err != nil {
		w.err = err
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		w.err = err
		return
	}
	w.file(to, f, info.Size(), mode)
}

// Link writes a symbolic link, unless there is something of the name already.
func (w *Writer) Link(to, name string) {
	w.Dir(path.Dir(name), 0o755)
	if w.err != nil || w.made[name] {
		return
	}
	w.made[name] = true
	w.err = w.w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name[1:], Linkname: to, Mode: 0o777, ModTime: epoch})
}

// file writes a file, unless there is one of the name already.
func (w *Writer) file(name string, content io.Reader, size, mode int64) {
	if w.err == nil && !path.IsAbs(name) {
		w.err = fmt.Errorf("a file of the image has no absolute path: %q", name)
	}
	name = path.Clean(name)
	w.Dir(path.Dir(name), 0o755)
	if w.err != nil || w.made[name] {
		return
	}
	w.made[name] = true
	if w.err = w.w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name[1:], Mode: mode, Size: size, ModTime: epoch}); w.err == nil {
		_, w.err = io.Copy(w.w, content)
	}
}

// Close ends the archive, and returns the first error that there was.
func (w *Writer) Close() error {
	if w.err == nil {
		w.err = w.w.Close()
	}
	return w.err
}

// systemUsers are those that images of distributions have, with their numbers in
// Debian's base-passwd.
const systemUsers = `root=0 daemon=1 bin=2 sys=3 games=5 man=6 lp=7 mail=8 news=9 uucp=10 proxy=13
	www-data=33 backup=34 list=38 irc=39 sshd=100 nobody=65534`

// accounts are the image's users and groups, none of whom has a password.
func accounts() (passwd, group, shadow string) {
	for user := range strings.FieldsSeq(systemUsers) {
		name, id, _ := strings.Cut(user, "=")
		home, shell, own := "/nonexistent", "/usr/sbin/nologin", name
		switch name {
		case "root":
			home, shell = "/root", "/bin/sh"
		case "nobody":
			own = "nogroup"
		}
		passwd += fmt.Sprintf("%s:x:%s:%s:%s:%s:%s\n", name, id, id, name, home, shell)
		group += fmt.Sprintf("%s:x:%s:\n", own, id)
		shadow += name + ":*:20000:0:99999:7:::\n"
	}
	return passwd, group, shadow
}
