package main

import (
	"os"
	"os/signal"
	"syscall"
)

// stopSignals end a program: Ctrl-C, a service's stop, a terminal that hangs up, unless that is to be
// survived (nohup).
func stopSignals() []os.Signal {
	all := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		all = append(all, syscall.SIGHUP)
	}
	return all
}

// onSecondSignal closes second at the second signal to stop, instead of an end without a word. A third
// one is such an end.
func onSecondSignal() (second <-chan struct{}, done func()) {
	c := make(chan os.Signal, 2)
	signal.Notify(c, stopSignals()...)
	quit, reached := make(chan struct{}), make(chan struct{})
	go func() {
		for range 2 {
			select {
			case <-c:
			case <-quit:
				return
			}
		}
		signal.Stop(c)
		close(reached)
	}()
	return reached, func() {
		signal.Stop(c)
		close(quit)
	}
}
