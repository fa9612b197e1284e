package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print version, Go version and platform",
		Example: "  stirwatch version",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(c.OutOrStdout(), versionText())
			return err
		},
	}
}

// versionText is what `version` and --version print.
func versionText() string {
	return fmt.Sprintf("stirwatch %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
