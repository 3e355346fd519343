//! The one place where an error of the engine or of a shell becomes a Python exception.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

/// The classes live in `xtrader.errors`, where Python can give them several bases.
macro_rules! python_errors {
    ($($function:ident = $name:literal),+ $(,)?) => {
        $(
            #[doc = concat!("`xtrader.", $name, "` with this text.")]
            pub fn $function(py: Python<'_>, message: impl Into<String>) -> PyErr {
                static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
                match CLASS.import(py, "xtrader.errors", $name) {
                    Ok(class) => PyErr::from_type(class.clone(), (message.into(),)),
                    Err(error) => error,
                }
            }
        )+
    };
}

python_errors! {
    config = "ConfigError",
    missing_package = "MissingPackageError",
}

/// An optional package is not there.
pub fn missing(py: Python<'_>, package: &str, cause: &PyErr) -> PyErr {
    let error = missing_package(
        py,
        format!("{package} is not installed ({cause}); it is an extra: pip install 'xtrader[{package}]'"),
    );
    error.set_cause(py, Some(cause.clone_ref(py)));
    error
}
