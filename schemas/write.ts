/** `npm run build:schemas`: writes what `generated` makes of the tables. */
import { writeFileSync } from 'node:fs'
import { generated } from './generated.js'

for (const [file, content] of generated()) writeFileSync(new URL(`../${file}`, import.meta.url), content)
