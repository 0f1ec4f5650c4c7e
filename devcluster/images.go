package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// loadImages puts images into every node: archives by their path, others by their name.
func (c *config) loadImages(images []string) {
	if c.ControlPlaneOnly {
		fail("a cluster made with --control-plane-only has no nodes to load an image into")
	}
	if len(images) == 0 {
		fail("load: which images? Give names, or archives that `docker save` wrote")
	}
	lock(c.Dir)
	for _, p := range c.parts() {
		if !alive(p.pidFile) {
			fail("%s does not run: start it with `devcluster up`", p.name)
		}
	}
	for _, image := range images {
		c.importImage(archiveOf(image))
	}
}

// archiveOf finds the archive of an image: a file as it is, else what Docker has, else what `build-image` keeps under that name.
func archiveOf(image string) string {
	if info, err := os.Stat(image); err == nil && info.Mode().IsRegular() {
		return ok(filepath.Abs(image))
	}
	if file := savedByDocker(image); file != "" {
		return file
	}
	file := filepath.Join(cache(), "images", "store", fileName(image)+".tar")
	if _, err := os.Stat(file); err != nil {
		fail("there is no image %s here: build it with `devcluster build-image -t %s ...`, or name an archive", image, image)
	}
	return file
}

func fileName(image string) string { return strings.NewReplacer("/", "_", ":", "_").Replace(image) }

// savedByDocker is the archive of an image that a Docker engine has, or nothing where there is no engine.
func savedByDocker(image string) string {
	raw, err := exec.Command("docker", "image", "inspect", "--format", "{{.Id}}", image).Output()
	if err != nil {
		return ""
	}
	dir := filepath.Join(cache(), "images", "docker")
	must(os.MkdirAll(dir, 0o755))
	file := filepath.Join(dir, fileName(image+"@"+strings.TrimSpace(string(raw)))+".tar")
	if _, err := os.Stat(file); err != nil {
		older, _ := filepath.Glob(filepath.Join(dir, fileName(image+"@")+"*"))
		for _, f := range older {
			os.Remove(f)
		}
		run("docker", "save", "-o", file+".new", image)
		must(os.Rename(file+".new", file))
	}
	return file
}

// importImage puts an archive into every node; one that went in before and has not changed is left alone.
func (c *config) importImage(file string) {
	info, err := os.Stat(file)
	must(err)
	stamp := fmt.Sprintf("%s %d %s", file, info.Size(), info.ModTime())
	for i := 1; i <= c.Nodes; i++ {
		name := c.nodeName(i)
		mark := filepath.Join(c.node(name), "imported", filepath.Base(file))
		if last, err := os.ReadFile(mark); err == nil && string(last) == stamp {
			continue
		}
		began := time.Now()
		c.await("containerd", 20*time.Second, func() bool { return answers(c.socket(name)) })
		run("ctr", "-a", c.socket(name), "-n", "k8s.io", "image", "import", file)
		must(os.MkdirAll(filepath.Dir(mark), 0o755))
		writeFile(mark, stamp)
		if filepath.Base(file) != "pause.tar" {
			fmt.Printf("%s: %s, %.0f MB in %.1f s\n", name, filepath.Base(file), float64(info.Size())/1e6, time.Since(began).Seconds())
		}
	}
}
