import globals from 'globals'
import neostandard from 'neostandard'
import oneWayImports from './scripts/one-way-imports.js'

const typescript = ['**/*.ts', '**/*.cts']

export default [
  ...neostandard({
    ts: true,
    noJsx: true,
    filesTs: ['**/*.cts'],
    ignores: ['dist', '.tap', '.tshy', '.tshy-build', 'bench/results', 'chunked_uploads', 'data']
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
    files: ['src/index.ts', 'src/testing/index.ts'],
    rules: {
      'no-restricted-syntax': ['error', {
        selector: 'Program > :not(ImportDeclaration, ExportNamedDeclaration[declaration=null], ExportAllDeclaration, ExportDefaultDeclaration)',
        message: 'An entry only exports what stands elsewhere.'
      }]
    }
  },
  {
    files: ['test/**'],
    ignores: ['test/support/**'],
    rules: {
      // A test in tap is a promise that tap itself waits for.
      '@typescript-eslint/no-floating-promises': 'off',
      'no-restricted-syntax': ['error', {
        selector: 'CallExpression[callee.property.name=/^(only|skip|todo)$/], Property[key.name=/^(only|skip|todo)$/][value.value=true]',
        message: 'Every test runs. What a machine may lack is asked for with test/support/requires.ts.'
      }]
    }
  }
]
