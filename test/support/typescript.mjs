// Lets node run the TypeScript of this project: node --import=…/typescript.mjs. What is compiled once, by whichever process comes first, is
// kept in .tap/typescript: a hundred files of tests, a process each, would otherwise compile all of src/ a hundred times.
import { register } from 'node:module'

register('./typescript-hooks.mjs', import.meta.url)
