// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"runtime"
)

// Image is an image that each node has: that of the process that keeps a pod's
// namespaces. As a container's command, /init serve is a server at port 80, which
// ends when its standard input has a line, and id says which user runs it.
const Image = "falcotest.test/pause:1"

// writeImage writes the image of Image.
func (t tools) writeImage(file string) error {
	return writeImage(file, Image, t.init, []string{"init", "bin/id"}, "/init", "pause")
}

// writeImage writes an image of one static program, under several names, as
// docker save does.
func writeImage(file, name, program string, paths []string, entrypoint ...string) error {
	binary, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	files := map[string][]byte{}
	for _, path := range paths {
		files[path] = binary
	}
	layer, err := archive(files)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(layer)
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config":       map[string]any{"Entrypoint": entrypoint},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(sum[:])}},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal([]any{map[string]any{"Config": "config.json", "RepoTags": []string{name}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return err
	}
	image, err := archive(map[string][]byte{"manifest.json": manifest, "config.json": config, "layer.tar": layer})
	if err != nil {
		return err
	}
	return os.WriteFile(file, image, 0o600)
}

// archive returns a tar of files that everybody may run.
func archive(files map[string][]byte) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content)), Format: tar.FormatUSTAR}); err != nil {
			return nil, err
		}
		if _, err := w.Write(content); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}
