//! A model on a device and the training state around it: one method per request.

use crate::arena::{Arena, reply_bytes, with_room};
use crate::bytes::format_bytes;
use crate::delta::Delta;
use crate::device::{Device, ModuleSize, OperationSizes};
use crate::error::{EngineError, Result, invalid, out_of_order};
use crate::model::Model;
use crate::model::batch::Batch;
use crate::model::decoder::Cache;
use crate::model::linear::{Linear, Window};
use crate::model::tensor::Tensor;
use crate::model::workspace::{BatchBuffers, Workspace};
use crate::protocol::{
    ArrayInfo, ArrayType, BatchShape, ForwardOutput, Loss, MemoryTable, ModelConfig, ModelOptions,
    ModelPlan, Optimizer, Precision, TensorInfo, Trainable, WeightFormat,
};
use spiel_kernels::element::Element;
use std::collections::HashMap;

/// A model that is ready for requests.
pub(crate) struct Session<D: Device> {
    pub(crate) device: D,
    pub(crate) model: Model<D>,
    pub(crate) options: ModelOptions,
    pub(crate) workspace: Workspace<D>,
    pub(crate) cache: Option<Cache<D>>,
    /// Micro-batches that the open selection window has seen; absent when none is open.
    pub(crate) window_samples: Option<u32>,
    memory: MemoryTable,
}

/// Plans a model, allocating nothing.
pub(crate) fn plan<D: Device>(
    device: &D,
    config: &ModelConfig,
    options: &ModelOptions,
) -> Result<ModelPlan> {
    let (model, workspace, memory) = build(device, config, options, true)?;
    check_budget(device.addressable(), &memory, options)?;
    let modules: HashMap<&str, &str> = model
        .linears()
        .map(|linear| (linear.weight.name.as_str(), linear.module.as_str()))
        .collect();
    let tensors = model.tensors().map(|tensor| TensorInfo {
        name: tensor.name.clone(),
        shape: tensor.shape(),
        format: tensor.format,
        delta_module: modules.get(tensor.name.as_str()).map(|module| (*module).to_owned()),
    });
    let parameters = model.tensors().map(|tensor| tensor.elements() as u64).sum();
    let precision = workspace.block.linear.element.into();
    Ok(ModelPlan { memory, tensors: tensors.collect(), parameters, precision })
}

/// Refuses memory over the budget that was set, or over what a device's addresses reach.
fn check_budget(addressable: u64, memory: &MemoryTable, options: &ModelOptions) -> Result<()> {
    let total = memory.total_bytes;
    let refused = match options.memory_budget {
        Some(budget) if total > budget => format!("its budget of {}", format_bytes(budget)),
        _ if total > addressable => {
            format!("the {} that this build can address", format_bytes(addressable))
        }
        _ => return Ok(()),
    };
    let total = format_bytes(total);
    Err(EngineError::OutOfMemory(format!("The run needs {total} of memory, over {refused}")))
}

fn build<D: Device>(
    device: &D,
    config: &ModelConfig,
    options: &ModelOptions,
    plan_only: bool,
) -> Result<(Model<D>, Workspace<D>, MemoryTable)> {
    if options.trainable == Trainable::Weights && options.optimizer == Optimizer::Sm3 {
        return Err(invalid!("Optimizer sm3 trains deltas only, expected adamw for whole weights"));
    }
    if options.candidates
        && (options.trainable, options.optimizer) != (Trainable::Deltas, Optimizer::Adamw)
    {
        return Err(invalid!("Candidates need trainable deltas and optimizer adamw"));
    }
    if options.micro_batch_tokens == 0 {
        return Err(invalid!("microBatchTokens is 0, expected at least 1"));
    }
    let (head, largest) = (config.head_dim, device.largest_trained_head());
    if options.trainable != Trainable::Nothing && head as usize > largest {
        return Err(EngineError::DeviceUnavailable(format!(
            "Model configuration: head_dim is {head}, expected at most {largest} to train on {}",
            device.adapter()
        )));
    }
    let (most, adapter) = (device.most_deltas(), device.adapter());
    if let Some(module) = options.deltas.iter().find(|module| module.count as usize > most) {
        return Err(EngineError::DeviceUnavailable(format!(
            "Module \"{}\" is to have {} deltas, expected at most {most} on {adapter}",
            module.module, module.count
        )));
    }
    let mut arena = Arena::new(device, plan_only);
    let model = Model::new(&mut arena, config, options)?;
    let element = element_of(device, &model, options.precision)?;
    let workspace = Workspace::new(&mut arena, &model, options, element)?;
    arena.operations(&operation_sizes(&model, options, element, arena.largest()));
    Ok((model, workspace, arena.table()))
}

/// What dense weights are kept in.
fn element_of<D: Device>(
    device: &D,
    model: &Model<D>,
    precision: Option<Precision>,
) -> Result<Element> {
    let Some(element) = precision.map(Element::from) else {
        let mut matrices = model.tensors().filter(|tensor| !tensor.is_vector);
        let exact = matrices.any(|matrix| matrix.format == WeightFormat::F32);
        let fastest = device.fastest_element();
        return Ok(if exact || !device.is_right_in(fastest) { Element::F32 } else { fastest });
    };
    let adapter = device.adapter();
    let problem = if !device.keeps_weights_in(element) {
        match element {
            Element::Bf16 => "bf16 needs the native engine on a CPU with AMX or AVX512-BF16",
            _ => "f16 needs a GPU with the feature shader-f16",
        }
    } else if !device.is_right_in(element) {
        "bf16 needs a CPU that multiplies rightly in it, which a test did not find"
    } else {
        return Ok(element);
    };
    Err(EngineError::DeviceUnavailable(format!(
        "--precision {problem}, and the device is {adapter}: expected such a device or --precision f32"
    )))
}

fn operation_sizes<D: Device>(
    model: &Model<D>,
    options: &ModelOptions,
    element: Element,
    largest_array: u64,
) -> OperationSizes {
    let trains = |trainable| options.trainable == trainable;
    let tensors = model.tensors().filter(|_| trains(Trainable::Weights)).map(Tensor::elements);
    let carriers = model.linears().filter(|_| trains(Trainable::Deltas));
    let modules: Vec<ModuleSize> = carriers.filter_map(Linear::delta_size).collect();
    OperationSizes {
        tokens: options.micro_batch_tokens as usize,
        heads: model.config.num_attention_heads as usize,
        largest_array,
        trained: tensors.chain(modules.iter().map(|module| module.deltas)).collect(),
        modules,
        replaces: options.candidates || options.optimizer == Optimizer::Sm3,
        element,
        capped: model
            .config
            .final_logit_softcapping
            .map_or(0, |_| model.config.vocab_size as usize),
    }
}

impl<D: Device> Session<D> {
    /// Allocates a model.
    pub(crate) fn new(
        device: D,
        config: &ModelConfig,
        options: ModelOptions,
    ) -> std::result::Result<Self, (D, EngineError)> {
        match build(&device, config, &options, false) {
            Ok((model, workspace, memory)) => Ok(Self {
                device,
                model,
                options,
                workspace,
                cache: None,
                window_samples: None,
                memory,
            }),
            Err(error) => Err((device, error)),
        }
    }

    /// The memory held now, the generation cache included.
    pub(crate) fn memory(&self) -> MemoryTable {
        let held = self.cache.as_ref().and_then(|cache| self.memory_with(cache.capacity).ok());
        held.unwrap_or_else(|| self.memory.clone())
    }

    /// The memory held with a cache of `capacity` tokens.
    fn memory_with(&self, capacity: usize) -> Result<MemoryTable> {
        let mut memory = self.memory.clone();
        // Planning a cache counts it as its allocation does.
        let mut arena = Arena::new(&self.device, true);
        Cache::new(&mut arena, &self.model, capacity)?;
        let table = arena.table();
        memory.total_bytes = memory.total_bytes.saturating_add(table.total_bytes);
        memory.rows.extend(table.rows);
        Ok(memory)
    }

    fn check_ready(&self) -> Result<()> {
        for tensor in self.model.tensors() {
            tensor.check_written()?;
        }
        match self
            .model
            .linears()
            .find(|linear| linear.delta.as_ref().is_some_and(|delta| !delta.attached))
        {
            None => Ok(()),
            Some(linear) => {
                Err(out_of_order!("Module \"{}\" has no deltas attached yet", linear.module))
            }
        }
    }

    fn batch(&self, shape: BatchShape, payload: &[u8]) -> Result<Batch> {
        Batch::parse(shape, payload, self.model.config.vocab_size, self.workspace.tokens)
    }

    /// Runs a micro-batch forward; returns its loss and the output's element type and bytes.
    pub(crate) async fn forward(
        &mut self,
        shape: BatchShape,
        output: ForwardOutput,
        payload: &[u8],
    ) -> Result<(Loss, Vec<u8>)> {
        self.check_ready()?;
        let batch = self.batch(shape, payload)?;
        let Self { device, model, workspace, .. } = self;
        workspace.load(device, model, &batch);
        let (tokens, hidden) = (batch.tokens.len(), model.config.hidden_size as usize);
        let keep_streams = output == ForwardOutput::HiddenStates;
        let kept = if keep_streams { model.layers.len() + 1 } else { 0 };
        let mut streams = with_room(reply_bytes([kept, tokens, hidden])?)?;
        model
            .forward(device, &batch, workspace, None, async |stream| {
                if keep_streams {
                    streams.extend(device.read(stream, 0, tokens * hidden * 4).await?);
                }
                Ok(())
            })
            .await?;
        model.losses(device, &batch, workspace, None);
        let losses = read_losses(device, workspace, &batch).await?;
        let bytes = match output {
            ForwardOutput::Loss => Vec::new(),
            ForwardOutput::TokenLosses => {
                let mut all = vec![0.0_f32; tokens];
                for (row, loss) in batch.rows.iter().zip(&losses) {
                    all[*row as usize] = *loss;
                }
                bytemuck::cast_slice(&all).to_vec()
            }
            ForwardOutput::Logits => model.logits(device, workspace, 0..tokens).await?,
            ForwardOutput::HiddenStates => {
                streams.extend(device.read(&workspace.block.normed, 0, tokens * hidden * 4).await?);
                streams
            }
        };
        Ok((loss(&losses), bytes))
    }

    /// Runs a micro-batch forward and backward, adding to the gradients, to the loss that they are of, and to an open
    /// window. Waits for nothing.
    pub(crate) async fn forward_backward(
        &mut self,
        shape: BatchShape,
        loss_scale: f64,
        payload: &[u8],
    ) -> Result<()> {
        self.check_ready()?;
        if self.options.trainable == Trainable::Nothing {
            return Err(out_of_order!("The model was created with nothing to train"));
        }
        let batch = self.batch(shape, payload)?;
        let window = match self.window_samples {
            None => Window::Closed,
            Some(0) => Window::Choose,
            Some(_) => Window::Accumulate,
        };
        let Self { device, model, workspace, .. } = self;
        workspace.load(device, model, &batch);
        model.forward(device, &batch, workspace, None, async |_| Ok(())).await?;
        model.losses(device, &batch, workspace, Some(loss_scale as f32));
        let Workspace { batch: BatchBuffers { losses, .. }, updates, .. } = workspace;
        device.add_losses(losses, batch.targets.len(), loss_scale, &mut updates.loss);
        model.backward(device, &batch, window, workspace);
        if let Some(samples) = &mut self.window_samples {
            *samples += 1;
        }
        device.keep_up().await
    }

    /// Starts a generation; the one before it must have ended, for its tokens would go into the new cache.
    pub(crate) fn generate_begin(&mut self, max_tokens: u32) -> Result<()> {
        self.check_ready()?;
        if self.cache.is_some() {
            return Err(out_of_order!(
                "A generation has begun already and must end before another"
            ));
        }
        let capacity = max_tokens as usize;
        if capacity == 0 {
            return Err(invalid!("maxTokens is 0, expected at least 1"));
        }
        check_budget(self.device.addressable(), &self.memory_with(capacity)?, &self.options)?;
        self.cache = Some(Cache::new(&mut Arena::new(&self.device, false), &self.model, capacity)?);
        Ok(())
    }

    /// Feeds a generation.
    pub(crate) async fn generate_forward(
        &mut self,
        payload: &[u8],
    ) -> Result<(ArrayInfo, Vec<u8>)> {
        let Self { device, model, workspace, cache, .. } = self;
        let cache = cache.as_mut().ok_or_else(|| out_of_order!("No generation has begun"))?;
        if !payload.len().is_multiple_of(4) {
            return Err(invalid!(
                "Token payload has {} bytes, expected a multiple of 4",
                payload.len()
            ));
        }
        let tokens: Vec<u32> = bytemuck::pod_collect_to_vec(payload);
        let logits = model.generate(device, &tokens, workspace, cache).await?;
        Ok((ArrayInfo { dtype: ArrayType::F32, elements: model.config.vocab_size }, logits))
    }
}

/// The deltas of all modules, with their layers.
impl<D: Device> Session<D> {
    /// Every attached delta.
    pub(crate) fn deltas(&self) -> impl Iterator<Item = &Delta<D>> {
        self.model.linears().filter_map(|linear| linear.delta.as_ref())
    }

    /// Refuses windows in a model without candidates.
    pub(crate) fn check_candidates(&self) -> Result<()> {
        if self.options.candidates {
            return Ok(());
        }
        Err(out_of_order!("The model was created without candidates"))
    }
}

/// The losses that a pass left.
async fn read_losses<D: Device>(
    device: &D,
    workspace: &Workspace<D>,
    batch: &Batch,
) -> Result<Vec<f32>> {
    let bytes = device.read(&workspace.batch.losses, 0, batch.targets.len() * 4).await?;
    Ok(bytemuck::pod_collect_to_vec(&bytes))
}

fn loss(losses: &[f32]) -> Loss {
    let sum: f64 = losses.iter().map(|loss| f64::from(*loss)).sum();
    Loss { sum: Some(sum).filter(|sum| sum.is_finite()), target_tokens: losses.len() as u32 }
}
