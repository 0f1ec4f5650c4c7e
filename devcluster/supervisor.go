package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

type supervisor struct {
	logs  string
	state string // a file with the names and pids of what runs, for `status` and `kill`
	mu    sync.Mutex
	names map[int]string
}

func newSupervisor(logs, state string) *supervisor {
	must(os.MkdirAll(logs, 0o755))
	return &supervisor{logs: logs, state: state, names: map[int]string{}}
}

func (s *supervisor) start(name, program string, args ...string) {
	log := ok(os.OpenFile(filepath.Join(s.logs, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644))
	null := ok(os.Open(os.DevNull))
	s.mu.Lock()
	defer s.mu.Unlock()
	p := ok(os.StartProcess(program, append([]string{name}, args...), &os.ProcAttr{Files: []*os.File{null, log, log}, Env: os.Environ()}))
	log.Close()
	null.Close()
	s.names[p.Pid] = name
	s.save()
}

func (s *supervisor) self(component string, args ...string) {
	s.start(component, "/proc/self/exe", args...)
}

func (s *supervisor) save() {
	byName := map[string]int{}
	for pid, name := range s.names {
		byName[name] = pid
	}
	must(os.WriteFile(s.state+".new", ok(json.Marshal(byName)), 0o644))
	must(os.Rename(s.state+".new", s.state))
}

func (s *supervisor) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err == syscall.ECHILD {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		s.mu.Lock()
		if name, known := s.names[pid]; known {
			fmt.Fprintf(os.Stderr, "%s %s ended: exit %d signal %d\n", time.Now().Format(time.RFC3339), name, status.ExitStatus(), status.Signal())
			delete(s.names, pid)
			s.save()
		}
		s.mu.Unlock()
	}
}
