/* The form of a meeting that is to be: its title, when, and how often. */
import type { Meeting, MeetingNew } from '../api.gen';
import { newId } from '../client';
import { makeMeeting } from '../meetings';
import type { RestError } from '../rest';
import { restError, words } from '../words';
import { el, field, textButton } from './dom';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const MINUTES = [15, 30, 45, 60, 90, 120, 240, 480];
const DAYS = ['SU', 'MO', 'TU', 'WE', 'TH', 'FR', 'SA'];

type Repeat = keyof typeof words.plan.repeats;

function two(n: number): string {
    return String(n).padStart(2, '0');
}

/* As <input type=datetime-local> wants it, by the clock here. */
function localTime(at: Date): string {
    return (
        `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}` +
        `T${two(at.getHours())}:${two(at.getMinutes())}`
    );
}

/* Days of work by the clock here, as days of the node's clock, which is UTC. */
function workDays(start: Date): string {
    const shift = (7 + start.getUTCDay() - start.getDay()) % 7;

    return [1, 2, 3, 4, 5].map((day) => DAYS[(day + shift) % 7]).join(',');
}

/* The RRULE (RFC 5545); last: the last day, as <input type=date> has it, or nothing. */
function ruleOf(repeat: Exclude<Repeat, 'never'>, start: Date, last: string): string {
    const rule = {
        daily: 'FREQ=DAILY',
        workdays: `FREQ=WEEKLY;BYDAY=${workDays(start)}`,
        weekly: 'FREQ=WEEKLY',
        fortnightly: 'FREQ=WEEKLY;INTERVAL=2',
        monthly: 'FREQ=MONTHLY',
    }[repeat];
    const end = last === '' ? '' : new Date(`${last}T23:59:59`).toISOString();

    return end === '' ? rule : `${rule};UNTIL=${end.slice(0, 19).replace(/[-:]/g, '')}Z`;
}

export function planForm(onMade: (made: Meeting) => void, onCancel: () => void): HTMLElement {
    const title = el('input', { name: 'title', required: true, maxlength: '200' });
    const start = el('input', { type: 'datetime-local', name: 'start', required: true });
    const last = el('input', { type: 'date', name: 'last' });
    const waiting = el('input', { type: 'checkbox', name: 'waiting' });
    const length = el('select', { name: 'length' });
    const repeats = el('select', { name: 'repeats' });
    const lastField = field(words.plan.last, last, words.plan.clock);
    const submit = el('button', { type: 'submit', class: 'primary' }, words.plan.create);
    const error = el('p', { class: 'hint warn', role: 'alert', hidden: true });
    let key = newId(); /* what is sent again unchanged is made once */

    length.append(
        ...MINUTES.map((n) =>
            el('option', { value: String(n), selected: n === 60 }, words.plan.minutes(n)),
        ),
    );
    repeats.append(
        ...Object.entries(words.plan.repeats).map(([value, text]) =>
            el('option', { value }, text),
        ),
    );
    start.value = localTime(new Date(Math.ceil((Date.now() + 1) / HOUR_MS) * HOUR_MS));
    lastField.hidden = true;
    repeats.addEventListener('change', () => {
        lastField.hidden = repeats.value === 'never';
    });

    const meeting = (): MeetingNew => {
        const begins = new Date(start.value);
        const ends = new Date(begins.getTime() + Number(length.value) * MINUTE_MS);
        const repeat = repeats.value as Repeat;

        return {
            meeting_name: title.value.trim(),
            meeting_start_time: begins.toISOString(),
            meeting_end_time: ends.toISOString(),
            waiting_room_enabled: waiting.checked,
            ...(repeat === 'never'
                ? {}
                : {
                      meeting_type: 'recurring',
                      recurrence: ruleOf(repeat, begins, last.value),
                  }),
        };
    };
    const form = el(
        'form',
        { id: 'plan', class: 'plan' },
        field(words.plan.title, title),
        el(
            'div',
            { class: 'columns' },
            field(words.plan.start, start),
            field(words.plan.length, length),
            field(words.plan.repeat, repeats),
            lastField,
        ),
        el('label', { class: 'check' }, waiting, words.plan.waiting),
        error,
        el('div', { class: 'row' }, submit, textButton(words.cancel, onCancel, 'secondary')),
    );

    form.addEventListener('input', () => (key = newId()));
    form.addEventListener('submit', (event) => {
        event.preventDefault();
        submit.disabled = true;
        error.hidden = true;
        makeMeeting(meeting(), key)
            .then(onMade, (refused: RestError) => {
                error.textContent = restError(refused);
                error.hidden = false;
            })
            .finally(() => (submit.disabled = false));
    });
    requestAnimationFrame(() => title.focus());
    return form;
}
