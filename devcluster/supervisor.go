package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// A supervisor is the parent of a control plane's or a node's processes, and mostly process 1 of a process namespace: when
// it is killed, the kernel kills all the rest. A process that ends stays ended, so that a test can see what that does,
// until SIGHUP (which `up` sends) starts it again.
type supervisor struct {
	logs  string
	state string // a file with the names and pids of what runs, for `status`, `kill` and `up`

	mu      sync.Mutex
	known   []component // in the order of their first start
	running map[int]string

	launches chan func()
}

type component struct {
	name, program string
	args          []string
}

func newSupervisor(logs, state string) *supervisor {
	must(os.MkdirAll(logs, 0o755))
	s := &supervisor{logs: logs, state: state, running: map[int]string{}, launches: make(chan func())}
	go func() {
		runtime.LockOSThread() // Pdeathsig means the thread that forked, so there is one thread for it, and it stays
		for launch := range s.launches {
			launch()
		}
	}()
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGHUP)
	go func() {
		for range again {
			s.startMissing()
		}
	}()
	return s
}

// start adds a component and starts it.
func (s *supervisor) start(name, program string, args ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := component{name, program, args}
	s.known = append(s.known, c)
	s.launch(c)
}

// self starts one of the components that are inside this same program.
func (s *supervisor) self(name string, args ...string) { s.start(name, "/proc/self/exe", args...) }

func (s *supervisor) startMissing() {
	s.mu.Lock()
	defer s.mu.Unlock()
	runs := map[string]bool{}
	for _, name := range s.running {
		runs[name] = true
	}
	for _, c := range s.known {
		if !runs[c.name] {
			s.launch(c)
		}
	}
}

func (s *supervisor) launch(c component) {
	log := ok(os.OpenFile(filepath.Join(s.logs, c.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644))
	defer log.Close()
	null := ok(os.Open(os.DevNull))
	defer null.Close()
	done := make(chan *os.Process)
	s.launches <- func() {
		done <- ok(os.StartProcess(c.program, append([]string{c.name}, c.args...), &os.ProcAttr{Files: []*os.File{null, log, log},
			Env: os.Environ(), Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}}))
	}
	s.running[(<-done).Pid] = c.name
	s.save()
}

func (s *supervisor) save() {
	byName := map[string]int{}
	for pid, name := range s.running {
		byName[name] = pid
	}
	replaceFile(s.state, ok(json.Marshal(byName)))
}

// reap never returns: process 1 inherits every orphan.
func (s *supervisor) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err == syscall.ECHILD {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		s.mu.Lock()
		if name, known := s.running[pid]; known {
			fmt.Fprintf(os.Stderr, "%s %s ended: exit %d signal %d\n", time.Now().Format(time.RFC3339), name, status.ExitStatus(), status.Signal())
			delete(s.running, pid)
			s.save()
		}
		s.mu.Unlock()
	}
}
