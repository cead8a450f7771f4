// SPDX-License-Identifier: Apache-2.0

package container

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/rootfs"
	"github.com/falcotest/go-falcotest/internal/turns"
)

// defaultRepository is what images are called where the action does not care.
const defaultRepository = "falcotest/action"

// image is an image that was made.
type image struct {
	ref        string // repository:tag
	executable string // path in it
	bind       string // a mount that brings the executable, for an image that was not made here
}

// imageCache makes each image once.
type imageCache struct {
	mu   sync.Mutex
	made map[string]*madeImage
}

type madeImage struct {
	once  sync.Once
	image image
	err   error
}

func (c *imageCache) get(key string) *madeImage {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.made == nil {
		c.made = make(map[string]*madeImage)
	}
	if c.made[key] == nil {
		c.made[key] = new(madeImage)
	}
	return c.made[key]
}

func (c *imageCache) all() (refs []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.made {
		if m.image.ref != "" {
			refs = append(refs, m.image.ref)
		}
	}
	slices.Sort(refs)
	return refs
}

// image returns an image for a container, which is removed when the engine is
// closed.
func (e *Engine) image(ctx context.Context, like events.Container) (image, error) {
	if e.Image != "" {
		return e.given(ctx, like)
	}
	content, err := json.Marshal(like.Files) // in the order of names
	if err != nil {
		return image{}, err
	}
	// The tag is unlike that of any real image, so that none is replaced.
	sum := sha256.Sum256(append([]byte(e.owner+"\x00"), content...))
	tag := ":falcotest-" + hex.EncodeToString(sum[:6])
	ref := defaultRepository + tag
	m := e.images.get(ref)
	m.once.Do(func() {
		m.image, m.err = e.build(ctx, ref, like.Files)
		if m.err != nil {
			m.err = fmt.Errorf("making the image %s: %w", ref, m.err)
		}
	})
	if m.err != nil || like.Repository == "" || like.Repository == defaultRepository && like.Tag == "" {
		return m.image, m.err
	}
	other := like.Repository + tag
	if like.Tag != "" {
		other = like.Repository + ":" + like.Tag
	}
	named := e.images.get(other)
	named.once.Do(func() {
		if like.Tag != "" {
			// Another run that makes an image of this name has it until it ends.
			turn, err := turns.Take(ctx, "the image "+other+" of "+e.host, turns.Options{})
			if err != nil {
				named.err = fmt.Errorf("making the image %s: %w", other, err)
				return
			}
			e.mu.Lock()
			e.turns = append(e.turns, turn)
			e.mu.Unlock()
			// An image of the user's would lose its name.
			found, err := e.cli.ImageInspect(ctx, other)
			left := err == nil && found.Config != nil && found.Config.Labels[labelOwner] != "" && ownerIsDead(found.Config.Labels[labelOwner])
			if !left && !cerrdefs.IsNotFound(err) {
				other = like.Repository + tag
			}
		}
		if err := e.copyImage(ctx, m.image, other); err != nil {
			named.err = fmt.Errorf("making the image %s: %w", other, err)
			return
		}
		named.image = image{ref: other, executable: m.image.executable}
	})
	return named.image, named.err
}

// copyImage makes an image that is like another but for its name. With a second name
// for the same image, Falco's container plugin (0.6.4) would take the first that the
// engine lists, whichever the container was made with.
func (e *Engine) copyImage(ctx context.Context, of image, name string) (err error) {
	created, err := e.cli.ContainerCreate(ctx, client.ContainerCreateOptions{
		Config: &container.Config{Image: of.ref, Entrypoint: []string{of.executable}, Labels: map[string]string{labelOwner: e.owner}},
	})
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.running[created.ID] = struct{}{}
	e.mu.Unlock()
	defer func() {
		err = errors.Join(err, e.remove(context.WithoutCancel(ctx), created.ID))
	}()
	_, err = e.cli.ContainerCommit(ctx, created.ID, client.ContainerCommitOptions{Reference: name, NoPause: true})
	return err
}

// given returns the image that the user named. The executable comes into its
// containers by a mount: copied, it would be no part of the image, which rules
// ask about.
func (e *Engine) given(ctx context.Context, like events.Container) (image, error) {
	if len(like.Files) > 0 {
		return image{}, fmt.Errorf("using the image %s: the action needs files of its own in the image", e.Image)
	}
	if _, err := e.cli.ImageInspect(ctx, e.Image); err != nil {
		return image{}, fmt.Errorf("using the image %s, which is not pulled: %w", e.Image, err)
	}
	exe, err := os.Executable()
	if err != nil {
		return image{}, fmt.Errorf("using the image %s: %w", e.Image, err)
	}
	inside := "/" + filepath.Base(exe)
	return image{ref: e.Image, executable: inside, bind: exe + ":" + inside + ":ro"}, nil
}

func (e *Engine) build(ctx context.Context, ref string, files map[string]string) (image, error) {
	if runtime.GOOS != "linux" {
		return image{}, errors.New("this executable is not for Linux, and so cannot run in a container")
	}
	program, err := os.Executable()
	if err != nil {
		return image{}, fmt.Errorf("finding this executable: %w", err)
	}
	inside := "/" + filepath.Base(strings.TrimSuffix(program, " (deleted)"))
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(writeImage(writer, inside, files)) }()
	defer reader.Close()
	answer, err := e.cli.ImageImport(ctx, client.ImageImportSource{Source: reader, SourceName: "-"}, ref,
		client.ImageImportOptions{Changes: []string{fmt.Sprintf("LABEL %s=%q", labelOwner, e.owner)}})
	if err != nil {
		return image{}, err
	}
	defer answer.Close()
	// The engine reports errors in the answer's body.
	for dec := json.NewDecoder(answer); ; {
		var line struct {
			Error string `json:"error"`
		}
		if err := dec.Decode(&line); err == io.EOF {
			break
		} else if err != nil {
			return image{}, err
		}
		if line.Error != "" {
			return image{}, errors.New(line.Error)
		}
	}
	return image{ref: ref, executable: inside}, nil
}

// programs are what scripts of tests are written with: bash, and programs that images of
// distributions have. They are this machine's, as far as it has them.
const programs = `bash sh awk basename cat chgrp chmod chown cp cut date dd dirname echo env expr false find getent grep head hostname
	id kill ln ls md5sum mkdir mkfifo mknod mktemp mount mv nohup od printf ps pwd readlink realpath rm rmdir sed seq sha256sum
	sleep sort stat sync tail tee test timeout touch tr true truncate umount uname uniq wc whoami xargs yes`

// writePrograms writes the programs of scripts with what they are linked with. One
// that cannot be had is left out.
func writePrograms(w *rootfs.Writer) {
	if _, err := exec.LookPath("bash"); err != nil {
		return
	}
	for name := range strings.FieldsSeq(programs) {
		found, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		file, err := filepath.EvalSymlinks(found)
		if err != nil {
			continue
		}
		libraries, err := linkedWith(file)
		if err != nil {
			continue // a script, or of another processor
		}
		for _, library := range libraries {
			w.Copy(library, library, 0o755)
		}
		// One file may have many names.
		at := filepath.Join("/usr/bin", filepath.Base(file))
		w.Copy(file, at, 0o755)
		for _, dir := range []string{"/usr/bin", "/bin"} {
			w.Link(at, filepath.Join(dir, name))
		}
	}
}

// writeImage writes the image's files as a tar archive. An action's /etc/passwd
// stands for the one that images have.
func writeImage(out io.Writer, inside string, files map[string]string) error {
	const self = "/proc/self/exe"
	libraries, err := linkedWith(self)
	if err != nil {
		return err
	}
	w := rootfs.New(out)
	w.Folders()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w.Text(name, files[name])
	}
	w.Accounts()
	w.Copy(self, inside, 0o755)
	for _, library := range libraries {
		w.Copy(library, library, 0o755)
	}
	writePrograms(w)
	return w.Close()
}

// linkedWith returns the files that a dynamically linked program needs: its
// interpreter and its libraries. A static one needs none.
func linkedWith(program string) ([]string, error) {
	f, err := elf.Open(program)
	if err != nil {
		return nil, fmt.Errorf("looking at what this executable is linked with: %w", err)
	}
	defer f.Close()
	var interpreter string
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			data, err := io.ReadAll(p.Open())
			if err != nil {
				return nil, fmt.Errorf("looking at what this executable is linked with: %w", err)
			}
			interpreter = string(bytes.TrimRight(data, "\x00"))
		}
	}
	if interpreter == "" {
		return nil, nil
	}
	folders := []string{filepath.Dir(interpreter)}
	if real, err := filepath.EvalSymlinks(interpreter); err == nil {
		folders = append(folders, filepath.Dir(real))
	}
	for _, pattern := range []string{"/lib/*-linux-gnu*", "/usr/lib/*-linux-gnu*", "/lib64", "/usr/lib64", "/lib", "/usr/lib"} {
		found, _ := filepath.Glob(pattern)
		folders = append(folders, found...)
	}
	needed := []string{interpreter}
	seen := map[string]bool{filepath.Base(interpreter): true}
	todo, err := f.ImportedLibraries()
	for err == nil && len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		var more []string
		var file string
		file, more, err = findLibrary(folders, name, f.Machine)
		needed = append(needed, file)
		todo = append(todo, more...)
	}
	if err != nil {
		return nil, fmt.Errorf("this executable is linked dynamically, and what it needs is not all found (CGO_ENABLED=0 makes a static one): %w", err)
	}
	return needed, nil
}

func findLibrary(folders []string, name string, machine elf.Machine) (file string, needs []string, err error) {
	for _, folder := range folders {
		file := filepath.Join(folder, name)
		f, err := elf.Open(file)
		if err != nil {
			continue
		}
		same := f.Machine == machine
		needs, err := f.ImportedLibraries()
		f.Close()
		if same && err == nil {
			return file, needs, nil
		}
	}
	return "", nil, fmt.Errorf("there is no %s", name)
}
