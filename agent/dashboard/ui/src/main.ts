import './style.css'
import { mount } from 'svelte'
import App from './App.svelte'

const page = document.getElementById('page')!
page.replaceChildren() // what is shown until the script is here
mount(App, { target: page })
