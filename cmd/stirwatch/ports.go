package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"stirwatch/sensors/serialport"
)

func portsCommand() *cobra.Command {
	var listen string
	var baud int
	var length time.Duration
	c := &cobra.Command{
		Use:   "ports",
		Short: "List serial ports, or show what one is saying",
		Long: `Ports lists serial ports with their stable names below /dev/serial/by-id. With --listen it opens
one and shows what comes in readable form: text lines, DAQ frames, or bytes with a guess at what
they are, and a 'fields:' snippet for agent.yaml.

Exit code 4: no port was found.`,
		Example: `  stirwatch ports
  stirwatch ports --listen /dev/ttyACM0 --baud 115200
  stirwatch ports --listen /dev/serial/by-id/usb-... --for 10s`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w := cmd.OutOrStdout()
			if listen != "" {
				ctx, cancel := forAWhile(cmd.Context(), length)
				defer cancel()
				err := serialport.Listen(ctx, listen, baud, w)
				if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
					err = nil
				}
				return err
			}
			ports, err := serialport.Ports()
			if err != nil {
				return err
			}
			if len(ports) == 0 {
				return coded{errors.New("no serial port found; is the device plugged in, and may this user open it (group dialout)?"), exitFound}
			}
			t := newTable(w)
			fmt.Fprintln(t, "PORT\tSTABLE NAME\tDEVICE")
			for _, p := range ports {
				device := p.Driver
				if p.VID != "" {
					device = fmt.Sprintf("%s %s (%s:%s %s)", p.Manufacturer, p.Product, p.VID, p.PID, p.Serial)
				}
				fmt.Fprintf(t, "%s\t%s\t%s\n", p.Path, p.ByID, device)
			}
			return t.Flush()
		},
	}
	c.Flags().StringVar(&listen, "listen", "", "`port` to open and show")
	c.Flags().IntVar(&baud, "baud", serialport.DefaultBaud, "speed in bit/s")
	c.Flags().DurationVar(&length, "for", 0, "stop listening after this time; 0: until Ctrl-C")
	return c
}
