import globals from 'globals'
import neostandard from 'neostandard'
import oneWayImports from './scripts/one-way-imports.js'

const typescript = ['**/*.ts', '**/*.cts']

// Whatever a test waits for has a deadline.
const bounded = 'This may never end: take it from test/support/deadline.ts, which gives it a deadline.'
const restricted = (name, importNames, message = bounded) => ({ name, importNames, message, allowTypeImports: true })
const unbounded = [
  {
    selector: 'CallExpression[callee.property.name="evaluate"]',
    message: 'This may never end: use evaluate of test/support/browser.ts.'
  },
  {
    selector: 'CallExpression[callee.name=/^(spawn|fork)$/]:not(:has(Property[key.name="env"]))',
    message: 'A child ends with the tests: give it the environment of test/support/child-env.ts.'
  }
]

export default [
  ...neostandard({
    ts: true,
    noJsx: true,
    filesTs: ['**/*.cts'],
    ignores: ['dist', '.tap', '.tshy', '.tshy-build', 'src/**/options.rules.ts', 'bench/results', 'chunked_uploads', 'data']
  }),
  {
    files: typescript,
    linterOptions: { noInlineConfig: true },
    plugins: { project: { rules: { 'one-way-imports': oneWayImports } } },
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@stylistic/max-len': ['error', { code: 140, ignoreUrls: true, ignoreRegExpLiterals: true }],
      '@typescript-eslint/ban-ts-comment': ['error', { 'ts-expect-error': true }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-import-type-side-effects': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { arguments: false, properties: false } }],
      '@typescript-eslint/await-thenable': 'error',
      'project/one-way-imports': 'error'
    }
  },
  {
    files: ['examples/public/**'],
    languageOptions: { globals: { ...globals.browser, ...globals.worker } }
  },
  {
    files: ['src/engine/**', 'src/storage/**', 'src/metadata/**', 'src/locks/**', 'src/upload.ts'],
    ignores: ['**/*.js'],
    rules: {
      'no-restricted-imports': ['error', ...['fastify', 'fastify-plugin', '@fastify/busboy', 'node:http', 'node:http2'].map(name => ({
        name, message: 'The engine and its adapters know no HTTP.'
      }))]
    }
  },
  {
    files: ['src/index.ts', 'src/adapter.ts', 'src/protocol.ts', 'src/types.ts', 'src/testing/index.ts'],
    rules: {
      'no-restricted-syntax': ['error', {
        selector: 'Program > :not(ImportDeclaration, ExportNamedDeclaration[declaration=null], ExportAllDeclaration, ExportDefaultDeclaration)',
        message: 'An entry only exports what stands elsewhere.'
      }]
    }
  },
  {
    files: ['test/**/*.ts', 'test/**/*.cts'],
    ignores: ['test/support/deadline.ts', 'test/support/child.ts', 'test/support/browser.ts'],
    rules: {
      'no-restricted-globals': ['error', { name: 'fetch', message: bounded }],
      'no-restricted-syntax': ['error', ...unbounded],
      '@typescript-eslint/no-restricted-imports': ['error',
        restricted('node:events', ['once', 'default']),
        ...['node:http', 'node:https'].map(name => restricted(name, ['request', 'get', 'default'])),
        ...['node:net', 'node:tls', 'node:http2'].map(name => restricted(name, ['connect', 'createConnection', 'default'])),
        restricted('node:child_process', ['exec', 'execFile', 'execSync', 'execFileSync', 'spawnSync', 'default'],
          'This may never end: take run, runSync or endOf from test/support/child.ts.')
      ]
    }
  },
  {
    files: ['test/**'],
    ignores: ['test/support/**'],
    rules: {
      // A test in tap is a promise that tap itself waits for.
      '@typescript-eslint/no-floating-promises': 'off',
      'no-restricted-syntax': ['error', ...unbounded, {
        selector: 'CallExpression[callee.property.name=/^(only|skip|todo)$/], Property[key.name=/^(only|skip|todo)$/][value.value=true]',
        message: 'Every test runs. What a machine may lack is asked for with test/support/requires.ts.'
      }]
    }
  }
]
