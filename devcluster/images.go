package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// archiveOf finds the archive of an image: a file as it is, or the one that `build-image` keeps for a name.
func archiveOf(image string) string {
	if info, err := os.Stat(image); err == nil && info.Mode().IsRegular() {
		return ok(filepath.Abs(image))
	}
	file := filepath.Join(cache(), "images", "store", strings.NewReplacer("/", "_", ":", "_").Replace(image)+".tar")
	if _, err := os.Stat(file); err != nil {
		fail("there is no image %s here: build it with `devcluster build-image -t %s ...`, or name an archive", image, image)
	}
	return file
}

// importImage puts an archive into every node; one that went in before and has not changed is left alone.
func (c *config) importImage(file string) {
	for i := 1; i <= c.Nodes; i++ {
		node := c.node(c.nodeName(i))
		info := ok(os.Stat(file))
		mark := filepath.Join(node, "imported", filepath.Base(file))
		stamp := file + " " + info.ModTime().String()
		if last, err := os.ReadFile(mark); err == nil && string(last) == stamp {
			continue
		}
		socket := filepath.Join(node, "containerd.sock")
		c.await("containerd", 20*time.Second, func() bool {
			conn, err := net.Dial("unix", socket)
			if err == nil {
				conn.Close()
			}
			return err == nil
		})
		run("ctr", "-a", socket, "-n", "k8s.io", "image", "import", file)
		must(os.MkdirAll(filepath.Dir(mark), 0o755))
		writeFile(mark, stamp)
	}
}
