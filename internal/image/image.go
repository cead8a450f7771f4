// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/image/fingerprint"
	"github.com/falcotest/go-falcotest/internal/rootfs"
)

// Image is one that was made.
type Image struct {
	// List is what it was made of.
	List fingerprint.List

	folder    string
	platforms []string
	images    []v1.Image // in the order of the platforms
	index     v1.ImageIndex
	digest    v1.Hash
}

// Close removes what was built.
func (i *Image) Close() error {
	if err := os.RemoveAll(i.folder); err != nil {
		return fmt.Errorf("removing what an image was made of: %w", err)
	}
	return nil
}

// root is the folder of an image that has all that is not the system's.
const root = "/falcotest"

// module is the folder of the module in the image. As many folders are above it as
// files of the tests are above the module.
func (b *builder) module() string {
	above := 0
	for _, f := range b.files {
		if path.IsAbs(f.to) {
			continue
		}
		rel := path.Join(b.packageFolder(), f.to)
		n := 0
		for ; rel == ".." || strings.HasPrefix(rel, "../"); n++ {
			rel = strings.TrimPrefix(rel[2:], "/")
		}
		above = max(above, n)
	}
	return root + strings.Repeat("/above", above) + "/module"
}

// packageFolder is the package's folder, from the module's on.
func (b *builder) packageFolder() string {
	rel, err := filepath.Rel(b.test.Module.Dir, b.test.Dir)
	if err != nil {
		return "."
	}
	return filepath.ToSlash(rel)
}

// assemble makes the image of what was built.
func (b *builder) assemble() (*Image, error) {
	i := &Image{List: b.list, folder: b.folder, platforms: b.Platforms}
	work := path.Join(b.module(), b.packageFolder())
	list, err := json.MarshalIndent(b.list, "", "\t")
	if err != nil {
		return nil, err
	}
	files, err := layer(func(w *rootfs.Writer) {
		w.Folders()
		w.Accounts()
		w.Dir(work, 0o755)
		for _, f := range slices.SortedFunc(slices.Values(b.files), func(x, y file) int { return cmp.Compare(x.to, y.to) }) {
			to := f.to
			if !path.IsAbs(to) {
				to = path.Join(work, to)
			}
			w.Copy(f.from, to, f.mode)
		}
		w.Text(fingerprint.Path, string(list)+"\n")
	})
	if err != nil {
		return nil, err
	}
	program := path.Join(root, b.binaryName())
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, platform := range b.Platforms {
		_, arch, _ := strings.Cut(platform, "/")
		binary, err := layer(func(w *rootfs.Writer) {
			w.Copy(filepath.Join(b.folder, "linux_"+arch), program, 0o755)
		})
		if err != nil {
			return nil, err
		}
		image, err := mutate.AppendLayers(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON), binary, files)
		if err != nil {
			return nil, err
		}
		conf, err := image.ConfigFile()
		if err != nil {
			return nil, err
		}
		conf = conf.DeepCopy()
		conf.OS, conf.Architecture = "linux", arch
		conf.Config = v1.Config{
			Entrypoint: []string{program},
			Cmd:        []string{"-test.v"},
			WorkingDir: work,
			Env:        environment(),
			Labels:     map[string]string{"org.opencontainers.image.title": b.test.ImportPath},
		}
		if image, err = mutate.ConfigFile(image, conf); err != nil {
			return nil, err
		}
		i.images = append(i.images, image)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	i.index = index
	if i.digest, err = index.Digest(); err != nil {
		return nil, err
	}
	return i, nil
}

// environment is that of the image: what the tests were told, when they were asked,
// about the files that they read.
func environment() []string {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"}
	for _, name := range []string{config.Rules.Variable, config.TestFiles.Variable} {
		if value := os.Getenv(name); value != "" {
			env = append(env, name+"="+filepath.ToSlash(value))
		}
	}
	return env
}

// layer makes a layer of the files that a function writes.
func layer(write func(*rootfs.Writer)) (v1.Layer, error) {
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		r, w := io.Pipe()
		go func() {
			fs := rootfs.New(w)
			write(fs)
			w.CloseWithError(fs.Close())
		}()
		return r, nil
	}, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
}

// Digest is the digest of the image.
func (i *Image) Digest() string { return i.digest.String() }

// Name is what the image is called where it is given no name: its own, of what is
// in it, so that no other stands for it.
func (i *Image) Name() string {
	base := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return -1
	}, path.Base(i.List.Package))
	return "falcotest.local/" + cmp.Or(base, "tests") + ":" + i.digest.Hex[:12]
}

// Push sends the image to a registry, as whom the user's configuration of Docker
// says, and returns its reference with its digest. Insecure takes a registry without
// TLS, or whose certificate nobody signed.
func (i *Image) Push(ctx context.Context, ref string, insecure bool) (string, error) {
	fail := func(err error) (string, error) { return "", fmt.Errorf("pushing the image to %s: %w", ref, err) }
	var opts []name.Option
	transport := remote.DefaultTransport
	if insecure {
		opts = append(opts, name.Insecure)
		if t, ok := transport.(*http.Transport); ok {
			t = t.Clone()
			t.TLSClientConfig = insecureTLS(t.TLSClientConfig)
			transport = t
		}
	}
	to, err := name.ParseReference(ref, opts...)
	if err != nil {
		return fail(err)
	}
	err = remote.WriteIndex(to, i.index, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithTransport(transport))
	if err != nil {
		return fail(err)
	}
	return to.Context().Name() + "@" + i.Digest(), nil
}

// Save writes the image into a file, under a name with a tag: as an OCI layout,
// which containerd imports, and as what docker load reads, for the first platform.
func (i *Image) Save(file, ref string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("writing the image to %s: %w", file, err)
		}
	}()
	tag, err := name.NewTag(ref, name.WithDefaultTag("latest"))
	if err != nil {
		return err
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, out.Close())
		if err != nil {
			err = errors.Join(err, os.Remove(file))
		}
	}()
	a := &archive{w: tar.NewWriter(out), made: map[string]bool{}}
	a.layout(i, tag)
	a.docker(i.images[0], tag)
	if a.err != nil {
		return a.err
	}
	return a.w.Close()
}

// archive is a file with an image, written until the first error.
type archive struct {
	w    *tar.Writer
	made map[string]bool
	err  error
}

func (a *archive) write(name string, size int64, content io.Reader) {
	if a.err != nil || a.made[name] {
		return
	}
	a.made[name] = true
	if a.err = a.w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size}); a.err == nil {
		_, a.err = io.Copy(a.w, content)
	}
}

func (a *archive) text(name string, content []byte) {
	a.write(name, int64(len(content)), strings.NewReader(string(content)))
}

func (a *archive) json(name string, content any) {
	if a.err != nil {
		return
	}
	var text []byte
	if text, a.err = json.Marshal(content); a.err == nil {
		a.text(name, text)
	}
}

func blob(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }

// blob writes what has a digest and a content.
func (a *archive) raw(digest func() (v1.Hash, error), content func() ([]byte, error)) {
	if a.err != nil {
		return
	}
	h, err := digest()
	text, err2 := content()
	if a.err = errors.Join(err, err2); a.err == nil {
		a.text(blob(h), text)
	}
}

// layout writes an OCI layout (image-spec, image-layout.md). The annotation is how
// containerd knows the whole name.
func (a *archive) layout(i *Image, tag name.Tag) {
	a.json("oci-layout", map[string]string{"imageLayoutVersion": "1.0.0"})
	raw, err := i.index.RawManifest()
	if err != nil {
		a.err = errors.Join(a.err, err)
		return
	}
	a.json("index.json", v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{{
		MediaType: types.OCIImageIndex, Digest: i.digest, Size: int64(len(raw)),
		Annotations: map[string]string{"io.containerd.image.name": tag.Name(), "org.opencontainers.image.ref.name": tag.TagStr()},
	}}})
	a.text(blob(i.digest), raw)
	for _, image := range i.images {
		a.raw(image.Digest, image.RawManifest)
		a.raw(image.ConfigName, image.RawConfigFile)
		layers, err := image.Layers()
		if err != nil {
			a.err = errors.Join(a.err, err)
			return
		}
		for _, l := range layers {
			a.layer(l)
		}
	}
}

func (a *archive) layer(l v1.Layer) {
	if a.err != nil {
		return
	}
	h, err := l.Digest()
	size, err2 := l.Size()
	if a.err = errors.Join(err, err2); a.err != nil || a.made[blob(h)] {
		return
	}
	content, err := l.Compressed()
	if err != nil {
		a.err = err
		return
	}
	defer content.Close()
	a.write(blob(h), size, content)
}

// docker writes what docker load reads, of the files that are there already.
func (a *archive) docker(image v1.Image, tag name.Tag) {
	if a.err != nil {
		return
	}
	conf, err := image.ConfigName()
	layers, err2 := image.Layers()
	if a.err = errors.Join(err, err2); a.err != nil {
		return
	}
	m := tarball.Descriptor{Config: blob(conf), RepoTags: []string{tag.Name()}}
	for _, l := range layers {
		h, err := l.Digest()
		if err != nil {
			a.err = err
			return
		}
		m.Layers = append(m.Layers, blob(h))
	}
	a.json("manifest.json", tarball.Manifest{m})
}
