/* The command line of a benchmark that is not C. */
import { parseArgs } from 'node:util';

/* The values of its options (as of parseArgs). With --help 'help' is printed, and the program ends;
 * what it does not know it says, and ends with 2: 1 stands for a goal that is missed. */
export function optionsOf(name, help, options) {
    let values;

    try {
        ({ values } = parseArgs({
            options: { ...options, help: { type: 'boolean', short: 'h', default: false } },
        }));
    } catch (error) {
        console.error(`${name}: ${error.message}; see tools/bench ${name} --help`);
        process.exit(2);
    }
    if (values.help) {
        process.stdout.write(help);
        process.exit(0);
    }
    return values;
}
