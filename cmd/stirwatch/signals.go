package main

import (
	"os"
	"os/signal"
	"syscall"
)

// stopSignals are those that end the program: Ctrl-C, the service manager's stop, and a terminal that hangs up unless
// the program was started to outlive it (nohup).
func stopSignals() []os.Signal {
	all := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		all = append(all, syscall.SIGHUP)
	}
	return all
}

// outliveReader lets the program go on when whoever reads its output is gone (`| head`), until the function it returns is
// called. Without it the next line written would end the program.
func outliveReader() func() {
	signal.Ignore(syscall.SIGPIPE)
	return func() { signal.Reset(syscall.SIGPIPE) }
}

// onSecondSignal closes second at the second signal to stop, so that the program can say what it leaves behind. A third
// signal ends the program at once.
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
