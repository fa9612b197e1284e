package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"stirwatch/cmd/assemble"
	"stirwatch/config"
)

func configCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Write, check and show the configuration",
		Example: `  stirwatch config init > agent.yaml
  stirwatch config check agent.yaml
  stirwatch config show -c agent.yaml
  stirwatch config schema > agent.schema.json`,
	}
	c.AddCommand(configInitCommand(), configCheckCommand(), configShowCommand(), configSchemaCommand())
	return c
}

func configInitCommand() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write a commented configuration that runs, to FILE or to standard output",
		Long: `Init writes an agent.yaml that runs as it stands, with a comment on each section. Beside FILE it writes
agent.schema.json, by which editors complete keys and mark mistakes. A FILE that exists is left alone.`,
		Example: `  stirwatch config init agent.yaml
  stirwatch config init | less`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				_, err := cmd.OutOrStdout().Write(config.Example(""))
				return err
			}
			flag := os.O_WRONLY | os.O_CREATE | os.O_EXCL
			if force {
				flag = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
			}
			f, err := os.OpenFile(args[0], flag, 0o644)
			if errors.Is(err, os.ErrExist) {
				return fmt.Errorf("%s exists and is left as it is; --force overwrites it", args[0])
			}
			if err != nil {
				return err
			}
			const schema = "agent.schema.json"
			_, err = f.Write(config.Example(schema))
			if err := errors.Join(err, f.Close(), os.WriteFile(filepath.Join(filepath.Dir(args[0]), schema), config.Schema(), 0o644)); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s is written. Next: put your machine's name, channels and sources into it, then\n  stirwatch config check %[1]s\n  stirwatch run -c %[1]s\n", args[0])
			return nil
		},
	}
	c.Flags().BoolVar(&force, "force", false, "overwrite FILE where it exists")
	return c
}

func configCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE]",
		Short: "Tell every mistake in FILE (default agent.yaml), each with its place and the way out",
		Long: `Check reads FILE and all that it names: secrets, model, program. Mistakes end with exit code 3. Warnings
do not: they tell what is allowed and probably not meant, such as a channel that no source feeds or that
two feed, or a token that is not there.`,
		Example: `  stirwatch config check
  stirwatch config check /etc/stirwatch/agent.yaml || echo "exit code 3"`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "agent.yaml"
			if len(args) == 1 {
				path = args[0]
			}
			conf, err := config.Load(path)
			if err != nil {
				return err
			}
			for _, text := range append(conf.Warnings(), conf.Exposed()...) {
				fmt.Fprintf(cmd.OutOrStdout(), "warning: %s\n", text)
			}
			if err := assemble.Check(conf); err != nil {
				return coded{fmt.Errorf("%s: %w", path, err), exitConfig}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is right: %s\n", path, conf.InShort())
			return nil
		},
	}
}

func configShowCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:     "show",
		Short:   "Print the configuration in effect, defaults included, secrets hidden",
		Example: "  stirwatch config show -c agent.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conf, err := config.Load(path)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(conf.Show())
			return err
		},
	}
	configFlag(c, &path)
	return c
}

func configSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of agent.yaml, for editors",
		Example: `  stirwatch config schema > agent.schema.json
  # then, as first line of agent.yaml:
  # yaml-language-server: $schema=agent.schema.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(config.Schema())
			return err
		},
	}
}
