import { rmSync } from 'node:fs'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  base: './',
  plugins: [
    svelte(),
    // dist holds a placeholder that belongs to the repository, so only what an earlier build left is removed.
    { name: 'clean', apply: 'build', buildStart: () => rmSync('dist/assets', { recursive: true, force: true }) },
  ],
  build: {
    emptyOutDir: false,
    target: 'es2022',
    modulePreload: { polyfill: false }, // it would be an inline script
    assetsInlineLimit: 0,
  },
  server: { proxy: { '/api': 'http://localhost:8484' } },
  test: { include: ['src/**/*.test.ts'] },
})
