/* The form by which one signs in; who has but an invitation goes on without. */
import { signIn } from '../account';
import type { RestError } from '../rest';
import { restError, words } from '../words';
import { el, field, textButton } from './dom';
import { card } from './screens';

/* lead: why one has to.  tenant: '' is the default one. */
export function signInScreen(
    lead: string,
    tenant: string,
    onDone: () => void,
    onInvitation: () => void,
): HTMLElement {
    const error = el('p', { class: 'hint warn', role: 'alert', id: 'sign-in-error' });
    const login = el('input', {
        name: 'login',
        required: true,
        maxlength: '128',
        autocomplete: 'username',
        autocapitalize: 'none',
        spellcheck: 'false',
    });
    const password = el('input', {
        type: 'password',
        name: 'password',
        required: true,
        maxlength: '1024',
        autocomplete: 'current-password',
        'aria-describedby': 'sign-in-error',
    });
    const submit = el('button', { type: 'submit', class: 'primary' }, words.signIn.button);
    const form = el(
        'form',
        { id: 'sign-in' },
        field(words.signIn.login, login),
        field(words.signIn.password, password),
        error,
        submit,
    );

    /* It can be pressed again when the node would listen. */
    const wait = (seconds: number): void => {
        submit.disabled = seconds > 0;
        submit.textContent =
            seconds > 0 ? words.signIn.wait(seconds) : words.signIn.button;
        if (seconds > 0 && form.isConnected) {
            window.setTimeout(() => wait(seconds - 1), 1_000);
        }
    };
    error.hidden = true;
    form.addEventListener('submit', (event) => {
        event.preventDefault();
        submit.disabled = true;
        error.hidden = true;
        signIn(login.value.trim(), password.value, tenant || undefined).then(
            onDone,
            (refused: RestError) => {
                error.textContent = restError(refused);
                error.hidden = false;
                wait(refused.waitS);
                if (refused.status === 401) {
                    password.focus();
                    password.select();
                }
            },
        );
    });
    requestAnimationFrame(() => login.focus());
    return card(
        el('h1', {}, words.signIn.title),
        el('p', { class: 'lead' }, lead),
        form,
        textButton(words.signIn.invitation, onInvitation, 'secondary'),
    );
}
